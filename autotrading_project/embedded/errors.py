class EmbeddedServerError(Exception):
    """An embedded server cannot be started; the message is a sentence that says what to do."""
