/** How a destination is to be told of a subject. */
export interface Marking {
  /** Goes as soon as the second is over, not when the window is. */
  readonly urgent: boolean;
  /** To be sent even if the destination already has this state: somebody gained sight, or the copies there grow old. */
  readonly resend: boolean;
  /** A status came or went, or is there for somebody new: an offline with a status never expires, nor does its absence. */
  readonly lasting?: boolean;
}
