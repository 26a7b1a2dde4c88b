/**
 * A refusal that the caller caused, in the specification's words (client-server API, "Standard error response").
 * Anything else that is thrown is a bug and answers 500 without a word about it.
 */
export class MatrixError extends Error {
  override name = 'MatrixError';
  readonly status: number;
  readonly errcode: string;
  /** Further fields of the body, such as `retry_after_ms` or `flows`. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(status: number, errcode: string, message: string, fields: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.errcode = errcode;
    this.fields = fields;
  }

  /** The response body. */
  toBody(): Record<string, unknown> {
    return { errcode: this.errcode, error: this.message, ...this.fields };
  }
}

type Factory = (message: string) => MatrixError;
const factory =
  (status: number, errcode: string): Factory =>
  (message) =>
    new MatrixError(status, errcode, message);

export const badJson = factory(400, 'M_BAD_JSON');
export const notJson = factory(400, 'M_NOT_JSON');
export const invalidParam = factory(400, 'M_INVALID_PARAM');
export const invalidSignature = factory(400, 'M_INVALID_SIGNATURE');
export const missingParam = factory(400, 'M_MISSING_PARAM');
export const unknown = factory(400, 'M_UNKNOWN');
export const invalidUsername = factory(400, 'M_INVALID_USERNAME');
export const exclusive = factory(400, 'M_EXCLUSIVE');
export const userInUse = factory(400, 'M_USER_IN_USE');
export const weakPassword = factory(400, 'M_WEAK_PASSWORD');
export const keyTooLarge = factory(400, 'M_KEY_TOO_LARGE');
export const profileTooLarge = factory(400, 'M_PROFILE_TOO_LARGE');
export const roomInUse = factory(400, 'M_ROOM_IN_USE');
export const invalidRoomState = factory(400, 'M_INVALID_ROOM_STATE');
export const unsupportedRoomVersion = factory(400, 'M_UNSUPPORTED_ROOM_VERSION');
export const badState = factory(400, 'M_BAD_STATE');
export const badAlias = factory(400, 'M_BAD_ALIAS');
export const duplicateAnnotation = factory(400, 'M_DUPLICATE_ANNOTATION');
export const unableToAuthoriseJoin = factory(400, 'M_UNABLE_TO_AUTHORISE_JOIN');
export const unableToGrantJoin = factory(400, 'M_UNABLE_TO_GRANT_JOIN');
export const forbidden = factory(403, 'M_FORBIDDEN');
export const cannotLeaveServerNoticeRoom = factory(403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM');
export const guestAccessForbidden = factory(403, 'M_GUEST_ACCESS_FORBIDDEN');
export const threepidMediumNotSupported = factory(400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED');
export const threepidDenied = factory(403, 'M_THREEPID_DENIED');
export const userDeactivated = factory(403, 'M_USER_DEACTIVATED');
export const notFound = factory(404, 'M_NOT_FOUND');
export const unrecognized = factory(404, 'M_UNRECOGNIZED');
export const methodNotAllowed = factory(405, 'M_UNRECOGNIZED');
export const tooLarge = factory(413, 'M_TOO_LARGE');
/** Of another server's content, which may never become one of ours (client-server API, "Content repository"). */
export const remoteTooLarge = factory(502, 'M_TOO_LARGE');
export const notYetUploaded = factory(504, 'M_NOT_YET_UPLOADED');
export const cannotOverwriteMedia = factory(409, 'M_CANNOT_OVERWRITE_MEDIA');
export const missingToken = factory(401, 'M_MISSING_TOKEN');
/** What the federation says to a request without a good signature. */
export const unauthorized = factory(401, 'M_UNAUTHORIZED');
export const roomNotFoundHere = factory(404, 'M_NOT_FOUND');
export const serverUnavailable = factory(503, 'M_UNKNOWN');
export const badGateway = factory(502, 'M_UNKNOWN');

/** `soft_logout` tells the client to keep its data and to log in again. */
export function unknownToken(message: string, softLogout = false): MatrixError {
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', message, { soft_logout: softLogout });
}

export function limitExceeded(retryAfterMs: number): MatrixError {
  return new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many requests', { retry_after_ms: Math.ceil(retryAfterMs) });
}

/** The key backup that takes keys is another one (client-server API, "Server-side key backups"). */
export function wrongRoomKeysVersion(currentVersion: string): MatrixError {
  const message = 'Keys are kept in another version of the key backup';
  return new MatrixError(403, 'M_WRONG_ROOM_KEYS_VERSION', message, { current_version: currentVersion });
}

/** make_join of a room whose version the asking server does not know (server-server API, make_join). */
export function incompatibleRoomVersion(roomVersion: string): MatrixError {
  return new MatrixError(400, 'M_INCOMPATIBLE_ROOM_VERSION', 'Your server does not support this room version', {
    room_version: roomVersion,
  });
}
