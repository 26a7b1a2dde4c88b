import { type RoomId, serverOfUser, type UserId } from '../../../src/matrix/ids.ts';
import { sharingConfigType } from '../../../src/matrix/presence.ts';
import type { PresenceSettings } from '../../../src/presence/settings.ts';
import { PresenceStorage } from '../../support/presence-storage.ts';
import { here, there, World } from '../../support/presence-world.ts';
import { type Facts, isForWhoeverComes, isGiven, maySee, names, sharesARoom } from './oracle.ts';
import { Owner } from './owner.ts';
import {
  after,
  everybody,
  owners,
  type Pause,
  places,
  possibleAfter,
  type Step,
  tellPause,
  tellStep,
} from './story.ts';
import { Viewer } from './viewer.ts';
import { type Parcel, Ways } from './ways.ts';
import { textOf, WireServer, wire } from './wire-server.ts';

/** By which rules a story goes: the settings of both servers, and what they mean in the model. */
export interface Rules {
  readonly settings?: Partial<PresenceSettings>;
  readonly facts?: Partial<Pick<Facts, 'excluded' | 'byDefault' | 'override' | 'largestRoom'>>;
  /** Whoever does nothing for five minutes is unavailable; else time alone changes nobody. */
  readonly goesIdle?: boolean;
  /** They begin in different rooms, and the first owner in both. */
  readonly beginsApart?: boolean;
  /** The third server does not know `allowed_recipients`. */
  readonly wireIsUnaware?: boolean;
}

type MayBeOffline = (subject: UserId, viewer: UserId, should: string) => boolean;

interface Sighting {
  readonly subject: UserId;
  readonly viewer: UserId;
  readonly way: string;
  readonly does: string;
  readonly isLetIn: boolean;
}

/** After the last update; with the window. */
const renewedWithinMs = 1_560_000;
const writtenWithinMs = 60_000;

const never = { idleAfterMs: 1e9, currentlyActiveMs: 1e9 };
const ofWire = everybody.filter((userId) => serverOfUser(userId) === wire);

/** One story: steps on real servers beside the model of what everybody should see. */
export class Play {
  readonly story: string[] = [];
  readonly #rules: Rules;
  readonly #world: World;
  readonly #wire: WireServer;
  readonly #ways: Ways;
  readonly #owners: ReadonlyMap<UserId, Owner>;
  /** By owner and text: who could see it at some moment while it was so. Each status is said once. */
  readonly #seers = new Map<string, Set<UserId>>();
  /** The same of whoever asks by GET, and so need not have wanted to be told. */
  readonly #askers = new Map<string, Set<UserId>>();
  readonly #viewers = new Map<UserId, Viewer>();
  #facts: Facts;
  #moving: Promise<void> = Promise.resolve();
  /** By server and subject: whom nobody there shared a room with, or named, when its process ended. */
  readonly #forgotten = new Set<string>();
  /** By server and subject: what it was last told, and when it was told the same again. */
  readonly #heard = new Map<string, { text: string; renewedAt: number }>();
  /** By server and subject: that they were renewed may have been forgotten by a crash. */
  readonly #renewalLost = new Set<string>();
  /** What was so when it was sent. */
  readonly #sentUnder = new WeakMap<Parcel, Facts>();
  #count = 0;
  #violation: string | undefined;

  private constructor(world: World, rules: Rules) {
    this.#world = world;
    this.#rules = rules;
    this.#wire = new WireServer({ isAware: !rules.wireIsUnaware });
    this.#facts = {
      ...{ excluded: [], byDefault: null, override: null, largestRoom: null, ...rules.facts },
      ...{ members: {}, configs: {}, ignored: {}, oversized: [] },
    };
    this.#owners = new Map(owners.map((userId) => [userId, new Owner(world, userId, rules.goesIdle === true)]));
    const deliver = world.deliver.bind(world);
    this.#ways = new Ways(world, async (parcel) => {
      if (parcel.to !== wire) {
        this.#noteHeard(parcel);
        return deliver(parcel);
      }
      this.#receiveOnWire(parcel);
      return true;
    });
    world.deliver = (parcel) => {
      this.#sentUnder.set(parcel, this.#facts);
      return this.#ways.carry(parcel);
    };
  }

  static async start(rules: Rules): Promise<Play> {
    const settings = { putsPerMinute: 1e6, ...(rules.goesIdle ? {} : never), ...rules.settings };
    const world = await World.start(settings, [here, there], () => PresenceStorage.open());
    const play = new Play(world, rules);
    await play.#meet();
    // Where the size of rooms matters, the first one is as large as it may be.
    for (const who of rules.facts?.largestRoom ? everybody.slice(1, 1 + rules.facts.largestRoom) : everybody) {
      await play.#move(who, places[0]);
      play.#facts = after(play.#facts, { does: 'enters or leaves', who, where: places[0] });
    }
    if (rules.beginsApart) for (const [index, who] of everybody.entries()) await play.#beginApart(who, index);
    for (const userId of owners) play.#viewers.set(userId, new Viewer(world, userId));
    play.#note([play.#facts]);
    await world.settle();
    return play;
  }

  async #beginApart(who: UserId, index: number): Promise<void> {
    const moves = [...(index === 0 || index % 2 === 1 ? [places[1]] : []), ...(index % 2 === 1 ? [places[0]] : [])];
    for (const where of moves) {
      await this.#move(who, where);
      this.#facts = after(this.#facts, { does: 'enters or leaves', who, where });
    }
  }

  /** Steps of different users, all at once. */
  async act(steps: readonly Step[]): Promise<void> {
    this.story.push(`at once: ${steps.map(tellStep).join('; ')}`);
    const before = this.#facts;
    const possible = possibleAfter(before, steps);
    this.#facts = steps.reduce(after, before);
    this.#forgetOnWire(before);
    this.#note(possible);
    const done = steps.map((step) => this.#do(step, possible));
    this.#note(possible);
    await Promise.all(done);
    await this.#world.settle();
  }

  async pause(kind: Pause): Promise<void> {
    if (this.#violation) throw new Error(this.#violation);
    this.story.push(tellPause(kind));
    if (typeof kind !== 'string') this.#ways.trouble(kind.server, kind.trouble);
    else if (kind === 'everybody looks') await this.#lookAll();
    else if (kind === 'a second') await this.#world.advance(1_000);
    else if (kind === 'a minute') await this.#wait(60_000);
    else if (kind === 'half an hour') await this.#wait(1_900_000);
    else if (kind === 'all is well again') this.#ways.mend();
    else if (kind !== 'at once') await this.#restart(kind);
  }

  /** Everything is back and has settled: what everybody sees is what the oracle says. */
  async end(): Promise<void> {
    this.#ways.mend();
    await this.#wait(60_000);
    await this.#wait(330_000);
    await this.#lookAll();
    this.story.push('in the end');
    await this.#compare(
      (subject, viewer) => this.#isForgotten(subject, viewer) || this.#isRenewalLost(subject, viewer),
    );
    if (this.#forgotten.size === 0 && this.#renewalLost.size === 0) return;
    await this.#wait(renewedWithinMs);
    await this.#lookAll();
    this.story.push('when everybody was renewed');
    // An offline with a status is not renewed.
    await this.#compare(
      (subject, viewer, should) => this.#isForgotten(subject, viewer) && should.startsWith('offline '),
    );
  }

  /** What everybody sees, in whichever way, is what the oracle says; of whom `mayBeOffline` says so, a blank offline will do. */
  async #compare(mayBeOffline: MayBeOffline): Promise<void> {
    if (this.#violation) throw new Error(this.#violation);
    for (const userId of everybody) {
      const viewer = this.#viewers.get(userId);
      const fresh = await viewer?.lookAfresh();
      for (const subject of owners) {
        const isGiven = this.#isGiven(subject, userId);
        const compare = (way: string, does: string, isLetIn = isGiven) =>
          this.#compareOne({ subject, viewer: userId, way, does, isLetIn }, mayBeOffline);
        compare('sees', this.#shown(subject, userId));
        if (!viewer) continue;
        compare('is shown by an initial sync', fresh?.get(subject) ?? 'offline ');
        const isNeighbour = serverOfUser(subject) === serverOfUser(userId);
        const isLetIn = isNeighbour ? maySee(subject, userId, this.#facts) : isGiven;
        const answer = await viewer.ask(subject);
        compare('is told by GET of', answer ?? 'offline ', isLetIn);
        if (answer === undefined && sharesARoom(subject, userId, this.#facts))
          throw new Error(this.#tell(`${userId} gets 404 for ${subject}`));
      }
    }
  }

  #compareOne({ subject, viewer, way, does, isLetIn }: Sighting, mayBeOffline: MayBeOffline): void {
    const should = isLetIn ? (this.#owners.get(subject)?.text ?? '') : 'offline ';
    if (does === should || (should === 'offline ' && this.#isBeyondPromise(viewer))) return;
    if (does === 'offline ' && mayBeOffline(subject, viewer, should)) return;
    throw new Error(this.#tell(`${viewer} ${way} ${subject} as "${does}", not as "${should}"`));
  }

  /** What was told of a stranger is not stored: who wants them after the end of the process waits until they are renewed. */
  #forgetStrangers(name: string): void {
    const nearby = everybody.filter((userId) => serverOfUser(userId) === name);
    for (const subject of owners) {
      const isNear = nearby.some(
        (viewer) => sharesARoom(subject, viewer, this.#facts) || names(viewer, subject, this.#facts),
      );
      if (serverOfUser(subject) !== name && !isNear) this.#forgotten.add(`${name} ${subject}`);
    }
  }

  #noteHeard({ to, push }: Parcel): void {
    const now = this.#world.clock.monotonic();
    for (const entry of push) {
      const key = `${to} ${entry.user_id}`;
      const text = textOf(entry);
      const isRenewal = this.#heard.get(key)?.text === text;
      // Of whom that server is told again, it holds what all others hold.
      this.#forgotten.delete(key);
      this.#renewalLost.delete(key);
      this.#heard.set(key, { text, renewedAt: isRenewal ? now : Number.NEGATIVE_INFINITY });
    }
  }

  /** "Timers are written at most once a minute": a copy that was renewed just before a crash expires as if it had not been. */
  #loseRenewals(name: string): void {
    const since = this.#world.clock.monotonic() - writtenWithinMs;
    for (const [key, { renewedAt }] of this.#heard)
      if (key.startsWith(`${name} `) && renewedAt >= since) this.#renewalLost.add(key);
  }

  #isRenewalLost(subject: UserId, viewer: UserId): boolean {
    return this.#renewalLost.has(`${serverOfUser(viewer)} ${subject}`);
  }

  #isForgotten(subject: UserId, viewer: UserId): boolean {
    return this.#forgotten.has(`${serverOfUser(viewer)} ${subject}`) && !sharesARoom(subject, viewer, this.#facts);
  }

  /** That servers know each other's ways, also those that withhold from strangers to the field. */
  async #meet(): Promise<void> {
    const pairs = [[here, there] as const, [there, here] as const];
    if (this.#wire.isAware) pairs.push([wire, here] as never, [wire, there] as never);
    for (const [from, to] of pairs) {
      const push = [{ user_id: `@nobody:${from}`, presence: 'offline', allowed_recipients: [`@*:${to}`] }];
      await this.#world.host(to).presence.receive(from, [{ push }]);
    }
    for (const host of this.#world.hosts.values())
      await host.commit(places.map((roomId) => ({ kind: 'room', roomId, version: '11' })));
  }

  async #wait(ms: number): Promise<void> {
    await this.#world.advance(ms);
    for (const owner of this.#owners.values()) owner.settled();
    this.#note([this.#facts]);
  }

  async #restart(kind: string): Promise<void> {
    const name = kind.endsWith(' there') ? there : here;
    this.#ways.endProcess(name);
    this.#forgetStrangers(name);
    if (kind.startsWith('crash')) this.#loseRenewals(name);
    await this.#world.host(name).restart({ crash: kind.startsWith('crash') });
    for (const [userId, owner] of this.#owners) if (serverOfUser(userId) === name) owner.afterRestart();
    this.#note([this.#facts]);
    await this.#world.settle();
  }

  async #do(step: Step, possible: readonly Facts[]): Promise<void> {
    const { who } = step;
    if (step.does === 'enters or leaves') return this.#moveInTurn(who, step.where);
    if (step.does === 'shares') {
      const content = { allowed_users: [...step.config.allowed], denied_users: [...step.config.denied] };
      return this.#world.host(who).putAccountData(who, sharingConfigType, content);
    }
    if (step.does === 'ignores') {
      const content = { ignored_users: Object.fromEntries(step.whom.map((whom) => [whom, {}])) };
      return this.#world.host(who).putAccountData(who, 'm.ignored_user_list', content);
    }
    const owner = this.#owners.get(who);
    if (!owner) return;
    if (step.does === 'hides') owner.hide();
    else if (step.does === 'logs out') owner.logOut();
    else if (step.does === 'acts') owner.act(step.device);
    else {
      // Their device comes, which says something already, and then they do.
      owner.appear(step.device);
      this.#note(possible);
      this.#count += 1;
      const status = `${who.slice(1, who.indexOf(':'))}-${this.#count}`;
      owner.willPut(step.device, step.state, status);
      this.#note(possible);
      await owner.put(step.device, step.state, status);
    }
  }

  /** The wire server learns of a leave before it is told what follows from it. */
  #forgetOnWire(before: Facts): void {
    for (const subject of owners)
      for (const viewer of ofWire)
        if (sharesARoom(subject, viewer, before) && !sharesARoom(subject, viewer, this.#facts))
          this.#wire.forget(subject, viewer);
  }

  /** Which of two comes first decides how large a room was in between, so the model has to know. */
  async #moveInTurn(userId: UserId, roomId: RoomId): Promise<void> {
    if (this.#facts.largestRoom === null) return this.#move(userId, roomId);
    this.#moving = this.#moving.then(() => this.#move(userId, roomId));
    await this.#moving;
  }

  async #move(userId: UserId, roomId: RoomId): Promise<void> {
    for (const host of this.#world.hosts.values()) {
      const [before, next] = host.roster.isJoined(roomId, userId)
        ? (['join', 'leave'] as const)
        : ([null, 'join'] as const);
      await host.setMembership({ roomId, userId, before, after: next });
    }
  }

  /** Whoever may be given what the owners are now, or may ask for it, by one of these facts. */
  #note(possible: readonly Facts[]): void {
    for (const [subject, { texts }] of this.#owners) {
      for (const viewer of everybody) {
        const isGiven = possible.some((facts) => mayBeGiven(subject, viewer, facts));
        const mayAsk = isGiven || possible.some((facts) => maySee(subject, viewer, facts));
        for (const text of texts) {
          if (isGiven) addTo(this.#seers, `${subject} ${text}`, viewer);
          if (mayAsk) addTo(this.#askers, `${subject} ${text}`, viewer);
        }
      }
    }
  }

  /** One answer of a sync, and one of GET of everybody: nothing in them was said after the owner had denied the viewer. */
  async #look(viewer: Viewer): Promise<void> {
    for (const [subject, text] of await viewer.look()) this.#check(subject, viewer.userId, text);
    for (const subject of owners)
      this.#check(subject, viewer.userId, (await viewer.ask(subject)) ?? 'offline ', this.#askers);
  }

  async #lookAll(): Promise<void> {
    for (const viewer of this.#viewers.values()) await this.#look(viewer);
  }

  #receiveOnWire(parcel: Parcel): void {
    const { push } = parcel;
    const then = this.#sentUnder.get(parcel) ?? this.#facts;
    this.#wire.receive(push);
    for (const entry of push) {
      const { user_id: subject } = entry;
      const recipients = this.#wire.recipientsOf(entry);
      for (const viewer of ofWire) {
        const isNamed = recipients?.includes(viewer) ?? sharesARoom(subject, viewer, this.#facts);
        // It was for whoever was there; one who comes while it is on its way is shown it by a server that knows no list, until it is taken back.
        const isLate = !this.#wire.isAware && !sharesARoom(subject, viewer, then);
        if (isNamed && !isLate && !this.#isBeyondPromise(viewer)) this.#check(subject, viewer, textOf(entry));
      }
    }
  }

  /** "The promises of denial hold for aware servers and for `withhold`." */
  #isBeyondPromise(viewer: UserId): boolean {
    return !this.#wire.isAware && ofWire.includes(viewer) && this.#rules.settings?.unawareServers === undefined;
  }

  #isGiven(subject: UserId, viewer: UserId): boolean {
    const stance = this.#wire.isAware || !ofWire.includes(viewer) ? 'send' : this.#rules.settings?.unawareServers;
    if (stance === 'withhold') return false;
    const sharing = ofWire.filter((user) => sharesARoom(subject, user, this.#facts));
    if (stance === 'whole_server_only' && !sharing.every((user) => isGiven(subject, user, this.#facts))) return false;
    return isGiven(subject, viewer, this.#facts);
  }

  #shown(subject: UserId, viewer: UserId): string {
    const known = this.#viewers.get(viewer);
    if (known) return known.shown.get(subject) ?? 'offline ';
    return sharesARoom(subject, viewer, this.#facts) ? this.#wire.shown(subject, viewer) : 'offline ';
  }

  #check(subject: UserId, viewer: UserId, text: string, seers = this.#seers): void {
    if (text === 'offline ' || seers.get(`${subject} ${text}`)?.has(viewer)) return;
    this.#violation ??= this.#tell(`${viewer} was shown "${text}" of ${subject}, who had denied them before saying so`);
  }

  #tell(what: string): string {
    return `${what}\n${this.story.map((line) => `  ${line}`).join('\n')}`;
  }
}

/**
 * Whoever is let in may be named to their server. Whether they want it is for that to ask, and "what was faster than the consent", or than a shared
 * room, is shown with it.
 */
function mayBeGiven(subject: UserId, viewer: UserId, facts: Facts): boolean {
  const sees = serverOfUser(subject) === serverOfUser(viewer) ? isGiven : maySee;
  return sees(subject, viewer, facts) || isForWhoeverComes(subject, viewer, facts, everybody);
}

function addTo(sets: Map<string, Set<UserId>>, key: string, userId: UserId): void {
  const set = sets.get(key);
  if (set) set.add(userId);
  else sets.set(key, new Set([userId]));
}
