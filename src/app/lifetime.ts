import type { Clock } from '../base/clock.ts';
import type { Surroundings } from './surroundings.ts';
import type { Parts } from './wiring-parts.ts';

/** In the order of what asks whom: presence knows who shares rooms before the feed tells it of changes. */
export async function startParts(
  { config, services }: Surroundings,
  { outgoing, presence, feed, rooms, accounts, deactivation, keys, media, pushSender, serviceSender }: Parts,
): Promise<void> {
  // Before listeners are open: whoever asks would wait for it.
  await outgoing.http.load();
  for (const { sender } of services.all) await accounts.registration.ensureReserved(sender);
  await presence.start();
  await feed.start();
  await outgoing.health.start();
  if (config.federation.enabled) {
    await outgoing.sender.start();
    keys.start();
  }
  rooms.start();
  await deactivation.start();
  await media.start();
  await pushSender.start();
  await serviceSender.start();
  await presence.services.start();
}

/** Resolves when nothing is left to do. One part's rest may be another's work, so it takes a round in which nobody had any. */
export async function idleParts(parts: Parts): Promise<void> {
  const { feed, presence, rooms, outgoing, deactivation, keys, media, pushSender, serviceSender, storage } = parts;
  for (let position = -1; position !== storage.position(); ) {
    position = storage.position();
    await deactivation.idle();
    await media.idle();
    await rooms.idle();
    await feed.idle();
    await keys.idle();
    await presence.idle();
    await outgoing.sender.idle();
    await pushSender.idle();
    await serviceSender.idle();
  }
}

/** Whoever hands out work ends before whoever does it. */
export async function stopParts({ clock }: Surroundings, parts: Parts): Promise<void> {
  const { waiters, feed, presence, rooms, accounts, deactivation, keys, media, typing, outgoing } = parts;
  waiters.stop();
  typing.stop();
  await deactivation.stop();
  await media.stop();
  rooms.stop();
  await withinGrace(clock, rooms.idle());
  await feed.stop();
  await outgoing.sender.stop();
  await parts.pushSender.stop();
  await parts.serviceSender.stop();
  await presence.stop();
  await accounts.stop();
  await outgoing.health.stop();
  await outgoing.http.stop();
  await parts.services.http.stop();
  // What was still being asked of other servers has its answer now: none.
  await keys.stop();
  await rooms.idle();
}

/** How long the stop waits for what other servers are asked. */
const stopGraceMs = 5_000;

function withinGrace(clock: Clock, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(stopGraceMs, resolve);
    work.then(resolve, reject).finally(() => timer.clear());
  });
}
