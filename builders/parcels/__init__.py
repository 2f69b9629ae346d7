"""Parcels: built images on their way from the machine that builds to those that prove."""
