/**
 * Something outside the program keeps it from starting or from running a command. The message is one line for a person:
 * what is wrong, where (file and line), and how to mend it. Printed without a stack trace; exit status 1.
 */
export class StartError extends Error {
  override name = 'StartError';
  /** The setting that is to blame, if one is: its place is added to the message by whoever knows where it was read. */
  readonly setting: readonly (string | number)[] | undefined;

  constructor(message: string, setting?: readonly (string | number)[]) {
    super(message);
    this.setting = setting;
  }
}

/** The short reason of a system error, such as EACCES. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
