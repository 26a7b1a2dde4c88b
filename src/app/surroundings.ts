import type { PasswordCost } from '../accounts/passwords.ts';
import type { AppServices } from '../appservices/app-services.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { Signer } from '../signing/sign-json.ts';
import type { Config } from './config/shape.ts';

/** What every part of the server stands in: its settings, its name and key, time, randomness, the log. */
export interface Surroundings {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signer: Signer;
  /** Those of the registration files; they are settings too. */
  readonly services: AppServices;
  /** Counts nothing where nobody may look. */
  readonly metrics: Metrics;
  readonly passwordCost?: PasswordCost;
}
