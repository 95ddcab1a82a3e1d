"""What a call of the central platform can end with, besides its answer."""


class Refused(Exception):
    """A call that is refused; the message is for the caller.

    Attributes:
        status: HTTP status.
    """

    status = 400


class Invalid(Refused):
    """Fields that can't be taken; says which and what to do."""

    status = 422


class Unknown(Refused):
    """What the call names isn't here."""

    status = 404


class Forbidden(Refused):
    """Not with this credential or code."""

    status = 403


class Unauthorised(Refused):
    """No valid credential was shown."""

    status = 401


class Conflict(Refused):
    """It contradicts what is already so."""

    status = 409


class Gone(Refused):
    """It was here, and isn't kept any more."""

    status = 410
