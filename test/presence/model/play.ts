import { type RoomId, serverOfUser, type UserId } from '../../../src/matrix/ids.ts';
import { type PresencePush, type PresenceState, sharingConfigType } from '../../../src/matrix/presence.ts';
import type { PresenceSettings } from '../../../src/presence/settings.ts';
import { PresenceStorage } from '../../support/presence-storage.ts';
import { type Client, here, room, there, user, World } from '../../support/presence-world.ts';
import { type Config, type Facts, isGiven, maySee, rooms as sharedRooms } from './oracle.ts';
import { WireServer, wire } from './wire-server.ts';

export const owners = [user('alice'), user('bob'), user('dave:there.test'), user('erin:there.test')] as const;
export const everybody = [...owners, user('zed:wire.test'), user('yan:wire.test')] as const;
export const places = [room('a'), room('b')] as const;

export type Step =
  | { readonly does: 'says'; readonly who: UserId; readonly state: PresenceState }
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
  'outage there',
  'outage of the wire server',
  'all are back',
] as const;
export type Pause = (typeof pauses)[number];

export interface Rules {
  readonly settings: Partial<PresenceSettings>;
  readonly facts: Pick<Facts, 'excluded' | 'byDefault' | 'override'>;
}

/** Owners stay connected all the time, and time alone makes nobody idle here: that is what other tests are about. */
const still: Partial<PresenceSettings> = { idleAfterMs: 1e9, currentlyActiveMs: 1e9, putsPerMinute: 1e6 };

/** What owners said, each time by another status: who could see it at some moment while it was so. */
interface Said {
  readonly text: string;
  readonly seers: Set<UserId>;
}

/** One story: steps on real servers beside the model of what everybody should see. */
export class Play {
  readonly story: string[] = [];
  readonly #world: World;
  readonly #wire = new WireServer();
  readonly #said = new Map<UserId, Said>();
  readonly #byText = new Map<string, Said>();
  readonly #views = new Map<UserId, { client: Client; shown: Map<UserId, string> }>();
  readonly #polls = new Map<UserId, () => void>();
  #facts: Facts;
  #count = 0;
  #violation: string | undefined;

  private constructor(world: World, { facts }: Rules) {
    this.#world = world;
    this.#facts = { ...facts, members: {}, configs: {}, ignored: {} };
    const deliver = world.deliver.bind(world);
    world.deliver = async (parcel) => {
      if (parcel.to !== wire) return deliver(parcel);
      if (!this.#wire.isDown) this.#receiveOnWire(parcel.push);
      return !this.#wire.isDown;
    };
  }

  static async start(rules: Rules): Promise<Play> {
    const world = await World.start({ ...still, ...rules.settings }, [here, there], () => PresenceStorage.open());
    const play = new Play(world, rules);
    await play.#meet();
    for (const userId of everybody) await play.#move(userId, places[0]);
    play.#facts = everybody.reduce(
      (facts, who) => after(facts, { does: 'enters or leaves', who, where: places[0] }),
      play.#facts,
    );
    for (const userId of owners) {
      play.#views.set(userId, { client: world.device(userId), shown: new Map() });
      play.#poll(userId);
      play.#say(userId, 'online ', play.#facts);
    }
    await world.settle();
    return play;
  }

  /** Steps of different users, all at once. */
  async act(steps: readonly Step[]): Promise<void> {
    this.story.push(`at once: ${steps.map(tellStep).join('; ')}`);
    const before = this.#facts;
    const possible = subsets(steps).map((some) => some.reduce(after, before));
    this.#facts = steps.reduce(after, before);
    this.#forgetOnWire(before);
    for (const said of this.#said.values()) this.#addSeers(said, possible);
    const texts = steps.map((each) => (each.does === 'says' ? this.#newText(each.who, each.state, possible) : ''));
    await Promise.all(steps.map((each, index) => this.#do(each, texts[index] ?? '')));
    await this.#world.settle();
  }

  async pause(kind: Pause): Promise<void> {
    if (this.#violation) throw new Error(this.#violation);
    this.story.push(kind);
    const world = this.#world;
    if (kind === 'everybody looks') for (const userId of owners) await this.#look(userId);
    else if (kind === 'a second') await world.advance(1_000);
    else if (kind === 'a minute') await world.advance(60_000);
    else if (kind === 'half an hour') await world.advance(1_900_000);
    else if (kind === 'outage there') world.host(there).isDown = true;
    else if (kind === 'outage of the wire server') this.#wire.isDown = true;
    else if (kind === 'all are back') this.#allBack();
    else if (kind !== 'at once') {
      const name = kind.endsWith(' there') ? there : here;
      await world.host(name).restart({ crash: kind.startsWith('crash') });
      for (const userId of owners) if (serverOfUser(userId) === name) this.#poll(userId);
      await world.settle();
    }
  }

  /** Everything is back and has settled: what everybody sees is what the oracle says. */
  async end(): Promise<void> {
    this.#allBack();
    await this.#world.advance(60_000);
    await this.#world.advance(330_000);
    for (const viewer of owners) await this.#look(viewer);
    this.story.push('in the end');
    if (this.#violation) throw new Error(this.#violation);
    for (const viewer of everybody) {
      for (const subject of owners) {
        const should = isGiven(subject, viewer, this.#facts) ? this.#said.get(subject)?.text : 'offline ';
        const does = this.#shown(subject, viewer);
        if (does !== should) throw new Error(this.#tell(`${viewer} sees ${subject} as "${does}", not as "${should}"`));
      }
    }
  }

  /** That servers know each other's ways, also those that withhold from strangers to the field. */
  async #meet(): Promise<void> {
    for (const [from, to] of [
      [here, there],
      [there, here],
      [wire, here],
      [wire, there],
    ] as const) {
      const push = [{ user_id: `@nobody:${from}`, presence: 'offline', allowed_recipients: [`@*:${to}`] }];
      await this.#world.host(to).presence.receive(from, [{ push }]);
    }
    for (const host of this.#world.hosts.values())
      await host.commit(places.map((roomId) => ({ kind: 'room', roomId, version: '11' })));
  }

  #allBack(): void {
    this.#world.host(there).isDown = false;
    this.#wire.isDown = false;
  }

  #shown(subject: UserId, viewer: UserId): string {
    const view = this.#views.get(viewer);
    if (view) return view.shown.get(subject) ?? 'offline ';
    return sharedRooms(subject, viewer, this.#facts).length > 0 ? this.#wire.shown(subject, viewer) : 'offline ';
  }

  /** An owner's device hangs on a sync, so that a PUT stays in force. */
  #poll(userId: UserId): void {
    this.#polls.set(userId, this.#world.device(userId).poll('online', true));
  }

  async #do(step: Step, text: string): Promise<void> {
    const host = this.#world.host(serverOfUser(step.who) === wire ? here : step.who);
    if (step.does === 'says') {
      const [, status = ''] = text.split(' ');
      const device = { userId: step.who, deviceId: 'PHONE' as never };
      await host.presence.putPresence(device, step.state, status);
    } else if (step.does === 'enters or leaves') await this.#move(step.who, step.where);
    else if (step.does === 'shares') {
      const content = { allowed_users: [...step.config.allowed], denied_users: [...step.config.denied] };
      await host.putAccountData(step.who, sharingConfigType, content);
    } else {
      const content = { ignored_users: Object.fromEntries(step.whom.map((whom) => [whom, {}])) };
      await host.putAccountData(step.who, 'm.ignored_user_list', content);
    }
  }

  /** The wire server learns of a leave before it is told what follows from it. */
  #forgetOnWire(before: Facts): void {
    for (const subject of owners)
      for (const viewer of ofWire)
        if (sharedRooms(subject, viewer, before).length > 0 && sharedRooms(subject, viewer, this.#facts).length === 0)
          this.#wire.forget(subject, viewer);
  }

  async #move(userId: UserId, roomId: RoomId): Promise<void> {
    for (const host of this.#world.hosts.values()) {
      const [before, next] = host.roster.isJoined(roomId, userId)
        ? (['join', 'leave'] as const)
        : ([null, 'join'] as const);
      await host.setMembership({ roomId, userId, before, after: next });
    }
  }

  #newText(who: UserId, state: PresenceState, possible: readonly Facts[]): string {
    this.#count += 1;
    const text = `${state} ${who.slice(1, who.indexOf(':'))}-${this.#count}`;
    for (const facts of possible) this.#say(who, text, facts);
    return text;
  }

  #say(who: UserId, text: string, facts: Facts): void {
    const known = this.#byText.get(`${who} ${text}`);
    const said = known ?? { text, seers: new Set<UserId>() };
    this.#byText.set(`${who} ${text}`, said);
    this.#said.set(who, said);
    this.#addSeers(said, [facts], who);
  }

  #addSeers(said: Said, possible: readonly Facts[], who = this.#ownerOf(said)): void {
    for (const viewer of everybody) {
      // On the wire whoever is let in may be named; whether they want it is for their server to ask.
      const sees = ofWire.includes(viewer) ? maySee : isGiven;
      if (possible.some((facts) => sees(who, viewer, facts))) said.seers.add(viewer);
    }
  }

  #ownerOf(said: Said): UserId {
    for (const [owner, current] of this.#said) if (current === said) return owner;
    throw new Error('nobody said that');
  }

  /** One answer of a sync: nothing in it was said after the owner had denied the viewer. */
  async #look(viewer: UserId): Promise<void> {
    const view = this.#views.get(viewer);
    if (!view) return;
    for (const { sender, presence, status_msg: status } of await view.client.read()) {
      const text = `${presence} ${status ?? ''}`;
      view.shown.set(sender, text);
      this.#check(sender, viewer, text);
    }
  }

  #receiveOnWire(push: readonly PresencePush[]): void {
    this.#wire.receive(push);
    for (const { user_id: subject, presence, status_msg: status, allowed_recipients: list } of push) {
      const isWhole = list === undefined || list.includes(`@*:${wire}`);
      for (const viewer of ofWire) {
        const isNamed = isWhole ? sharedRooms(subject, viewer, this.#facts).length > 0 : list.includes(viewer);
        if (isNamed) this.#check(subject, viewer, `${presence} ${status ?? ''}`);
      }
    }
  }

  #check(subject: UserId, viewer: UserId, text: string): void {
    if (text === 'offline ' || this.#byText.get(`${subject} ${text}`)?.seers.has(viewer)) return;
    this.#violation ??= this.#tell(`${viewer} was shown "${text}" of ${subject}, who had denied them before saying so`);
  }

  #tell(what: string): string {
    return `${what}\n${this.story.map((line) => `  ${line}`).join('\n')}`;
  }
}

const ofWire = everybody.filter((userId) => serverOfUser(userId) === wire);

/** What a step makes of the facts. Whoever leaves a room does not share with it any more. */
export function after(facts: Facts, step: Step): Facts {
  const { who } = step;
  if (step.does === 'shares') return { ...facts, configs: { ...facts.configs, [who]: step.config } };
  if (step.does === 'ignores') return { ...facts, ignored: { ...facts.ignored, [who]: step.whom } };
  if (step.does === 'says') return facts;
  const inside = facts.members[step.where] ?? [];
  if (!inside.includes(who)) return { ...facts, members: { ...facts.members, [step.where]: [...inside, who] } };
  const members = { ...facts.members, [step.where]: inside.filter((other) => other !== who) };
  const config = facts.configs[who];
  if (!config) return { ...facts, members };
  const allowed = config.allowed.filter((entry) => entry !== step.where);
  return { ...facts, members, configs: { ...facts.configs, [who]: { ...config, allowed } } };
}

function subsets(steps: readonly Step[]): Step[][] {
  let sets: Step[][] = [[]];
  for (const step of steps) sets = sets.flatMap((some) => [some, [...some, step]]);
  return sets;
}

function tellStep(step: Step): string {
  if (step.does === 'says') return `${step.who} says ${step.state}`;
  if (step.does === 'enters or leaves') return `${step.who} enters or leaves ${step.where}`;
  if (step.does === 'ignores') return `${step.who} ignores ${step.whom.join(', ') || 'nobody'}`;
  return `${step.who} allows [${step.config.allowed.join(', ')}], denies [${step.config.denied.join(', ')}]`;
}
