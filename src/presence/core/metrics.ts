import type { Count, Distribution, Metrics } from '../../base/metrics.ts';

/** What presence counts as it goes. Nothing here is about one user, room or server. */
export interface PresenceMetrics {
  /** Changes of our users that were told. */
  readonly updates: Count;
  /** Viewers and servers who were told of one. */
  readonly recipients: Distribution;
  /** From a change until everybody whom it concerns was woken. */
  readonly wakeSeconds: Distribution;
  readonly suppressed: Count;
  /** By where a change met one that waited: `local` or `federation`. */
  readonly coalesced: Count;
  /** Entries of presence EDUs, by what became of them: `accepted` or `dropped`. */
  readonly received: Count;
  /** Entries of presence EDUs that other servers took. */
  readonly sent: Count;
}

export function createPresenceMetrics(metrics: Metrics): PresenceMetrics {
  return {
    updates: metrics.count({
      name: 'lantern_presence_updates_total',
      help: 'Presence changes of local users that were handed out to viewers and servers',
    }),
    recipients: metrics.distribution({
      name: 'lantern_presence_update_recipients',
      help: 'Connected local users who were given a presence change of a local user',
      buckets: [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000],
    }),
    wakeSeconds: metrics.distribution({
      name: 'lantern_presence_wake_seconds',
      help: 'Time from a presence change of a local user until the waiting syncs of all local viewers were woken',
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5],
    }),
    suppressed: metrics.count({
      name: 'lantern_presence_suppressed_by_policy_total',
      help: 'Times that a connected user who shares a room was not given a presence change, because of a sharing config',
    }),
    coalesced: metrics.count({
      name: 'lantern_presence_coalesced_total',
      help: 'Presence changes that took the place of one that had not been handed out (local) or sent (federation) yet',
      label: { name: 'to', values: ['local', 'federation'] },
    }),
    received: metrics.count({
      name: 'lantern_presence_federation_received_total',
      help: 'Presence updates received from other servers, by whether they were accepted or dropped',
      label: { name: 'outcome', values: ['accepted', 'dropped'] },
    }),
    sent: metrics.count({
      name: 'lantern_presence_federation_sent_total',
      help: 'Presence updates that other servers accepted; one for each user, list of recipients and server',
    }),
  };
}

/** What is read when somebody looks. */
export interface PresenceGauges {
  /** Local users by state. */
  usersByState(): Readonly<Record<string, number>>;
  connectedViewers(): number;
  remoteSubjects(): number;
  marksWaiting(): number;
  narrowingsWaiting(): number;
}

export function registerPresenceGauges(metrics: Metrics, gauges: PresenceGauges): void {
  metrics.gauge(
    {
      name: 'lantern_presence_users',
      help: 'Local users with a presence, by their state',
      label: { name: 'state', values: ['online', 'unavailable', 'offline'] },
    },
    () => gauges.usersByState(),
  );
  metrics.gauge(
    { name: 'lantern_presence_connected_users', help: 'Local users who sync, and are given presence as it changes' },
    () => gauges.connectedViewers(),
  );
  metrics.gauge(
    { name: 'lantern_presence_remote_users', help: 'Users of other servers of whom presence was received' },
    () => gauges.remoteSubjects(),
  );
  metrics.gauge(
    {
      name: 'lantern_presence_federation_queue',
      help: 'Presence updates that wait to be sent, over all destinations: at most one for each user and destination',
    },
    () => gauges.marksWaiting(),
  );
  metrics.gauge(
    {
      name: 'lantern_presence_narrowings_waiting',
      help: 'Pairs of user and server where the server has yet to be told that fewer people may see the user',
    },
    () => gauges.narrowingsWaiting(),
  );
}
