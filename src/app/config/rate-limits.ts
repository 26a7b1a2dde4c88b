import type { RateLimitSettings } from '../../http/rate-limits.ts';
import type { Config } from './shape.ts';

/** Limits per minute; null: none. */
export function rateLimitsOf(
  config: Config,
): RateLimitSettings & { failedLogins: number | null; presence: number | null } {
  const { rate_limits: limits } = config;
  const perMinute = (count: number): number | null => (limits.enabled && count > 0 ? count : null);
  return {
    registrations: perMinute(limits.registrations_per_minute),
    logins: perMinute(limits.logins_per_minute),
    failedLogins: perMinute(limits.failed_logins_per_minute),
    messages: perMinute(limits.messages_per_minute),
    toDevice: perMinute(limits.to_device_per_minute),
    joins: perMinute(limits.joins_per_minute),
    invites: perMinute(limits.invites_per_minute),
    uploads: perMinute(limits.uploads_per_minute),
    previews: perMinute(limits.previews_per_minute),
    presence: perMinute(config.presence.puts_per_minute),
  };
}
