/** A request that cannot be done and is answered with this HTTP status; anything else that is thrown is a bug. */
export class EngineError extends Error {
  override name = 'EngineError';
  readonly status: number;

  constructor(status: 400 | 404 | 409 | 500, message: string) {
    super(message);
    this.status = status;
  }
}
