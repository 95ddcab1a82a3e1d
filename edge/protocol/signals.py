"""Names of the signals of misuse that a node journals as events, `signal.<name>`."""

REPLAY = "replay"
LATE_CODE = "late_code"
FORGED_CODES = "forged_codes"
WRONG_FACE = "wrong_face"
FACE_ATTACK = "face_attack"
SIGNALS = (REPLAY, LATE_CODE, FORGED_CODES, WRONG_FACE, FACE_ATTACK)
EVENT_PREFIX = "signal."
