"""The routes: what each interface takes and answers; the answering is in `answering`."""
