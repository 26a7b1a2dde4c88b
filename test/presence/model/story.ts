import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { PresenceState } from '../../../src/matrix/presence.ts';
import { here, room, there, user } from '../../support/presence-world.ts';
import { type Config, type Facts, withSizes } from './oracle.ts';
import type { DeviceName } from './owner.ts';
import { troubles } from './ways.ts';
import { wire } from './wire-server.ts';

/** What stories are made of. */

export const owners = [user('alice'), user('bob'), user('dave:there.test'), user('erin:there.test')] as const;
export const everybody = [...owners, user('zed:wire.test'), user('yan:wire.test')] as const;
export const places = [room('a'), room('b')] as const;

export type Step =
  | { readonly does: 'says'; readonly who: UserId; readonly state: PresenceState; readonly device: DeviceName }
  | { readonly does: 'hides'; readonly who: UserId }
  | { readonly does: 'logs out'; readonly who: UserId }
  | { readonly does: 'acts'; readonly who: UserId; readonly device: DeviceName }
  | { readonly does: 'enters or leaves'; readonly who: UserId; readonly where: RoomId }
  | { readonly does: 'shares'; readonly who: UserId; readonly config: Config }
  | { readonly does: 'ignores'; readonly who: UserId; readonly whom: readonly UserId[] };

export const pauses = [
  'at once',
  'everybody looks',
  'a second',
  'a minute',
  'half an hour',
  'restart here',
  'crash here',
  'restart there',
  'crash there',
  'all is well again',
] as const;
const servers = [here, there, wire] as const;
/** From now on something is wrong with the way to a server. */
export const mishaps = servers.flatMap((server) => troubles.map((trouble) => ({ server, trouble })));
export type Pause = (typeof pauses)[number] | (typeof mishaps)[number];

export function tellPause(pause: Pause): string {
  return typeof pause === 'string' ? pause : `${pause.server} ${pause.trouble}`;
}

/** What a step makes of the facts. Whoever leaves a room does not share with it any more. */
export function after(facts: Facts, step: Step): Facts {
  const { who } = step;
  if (step.does === 'shares') return { ...facts, configs: { ...facts.configs, [who]: step.config } };
  if (step.does === 'ignores') return { ...facts, ignored: { ...facts.ignored, [who]: step.whom } };
  if (step.does !== 'enters or leaves') return facts;
  const inside = facts.members[step.where] ?? [];
  if (!inside.includes(who))
    return withSizes({ ...facts, members: { ...facts.members, [step.where]: [...inside, who] } });
  const members = { ...facts.members, [step.where]: inside.filter((other) => other !== who) };
  const config = facts.configs[who];
  if (!config) return withSizes({ ...facts, members });
  const allowed = config.allowed.filter((entry) => entry !== step.where);
  return withSizes({ ...facts, members, configs: { ...facts.configs, [who]: { ...config, allowed } } });
}

/** Steps at once may be seen in any order, and half done. */
export function possibleAfter(facts: Facts, steps: readonly Step[]): Facts[] {
  let sets: Step[][] = [[]];
  for (const step of steps) sets = sets.flatMap((some) => [some, [...some, step]]);
  return sets.map((some) => some.reduce(after, facts));
}

export function tellStep(step: Step): string {
  if (step.does === 'says') return `${step.who} says ${step.state} on the ${step.device}`;
  if (step.does === 'hides') return `${step.who} hides on the TABLET`;
  if (step.does === 'logs out') return `${step.who} logs out of the TABLET`;
  if (step.does === 'acts') return `${step.who} does something on the ${step.device}`;
  if (step.does === 'enters or leaves') return `${step.who} enters or leaves ${step.where}`;
  if (step.does === 'ignores') return `${step.who} ignores ${step.whom.join(', ') || 'nobody'}`;
  return `${step.who} allows [${step.config.allowed.join(', ')}], denies [${step.config.denied.join(', ')}]`;
}
