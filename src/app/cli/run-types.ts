/** What a command gets of the command line. */
export interface CommandLine {
  /** What follows the command's name and is no option. */
  positionals: readonly string[];
  options: {
    config?: string | undefined;
    /** `key=value`, from `--set` and the short flags. */
    overrides: string[];
    json: boolean;
    out?: string | undefined;
  };
}
