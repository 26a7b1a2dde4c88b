import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { forbidden, invalidParam, notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { RoomFacts } from '../storage/contract/directory.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { LocalRooms } from './local-rooms.ts';
import type { RemoteRooms } from './remote-rooms.ts';
import { type RoomSummary, type SpaceChild, spaceType, summaryOf, viaOf } from './room-summary.ts';

export interface HierarchyDeps {
  readonly local: LocalRooms;
  readonly remote: RemoteRooms;
  readonly clock: Clock;
  readonly random: Random;
}

export interface HierarchyRequest {
  readonly roomId: RoomId;
  readonly suggestedOnly: boolean;
  readonly maxDepth: number | undefined;
  readonly limit: number | undefined;
  /** A `next_batch`. */
  readonly from: string | undefined;
}

export type HierarchyRoom = RoomSummary & { readonly children_state: readonly SpaceChild[] };

/** Spaces as trees of rooms (client-server and server-server API, "GET /hierarchy"). */
export interface Hierarchy {
  /**
   * The rooms below a space that the user may learn of, itself first, depth first. Throws M_FORBIDDEN for a space they may not, or that nobody knows, and
   * M_INVALID_PARAM for a token that is not theirs or goes with other parameters.
   */
  list(userId: UserId, request: HierarchyRequest): Promise<{ rooms: HierarchyRoom[]; next_batch?: string }>;
  /** A space and its children for another server, as far as its users might learn of them. Throws M_NOT_FOUND. */
  listForServer(
    origin: ServerName,
    request: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
  ): Promise<{ room: HierarchyRoom; children: RoomSummary[]; inaccessible_children: RoomId[] }>;
}

const pageRoomsMax = 100;
const pageRoomsDefault = 50;
const depthMax = 20;
/** Rooms of one walk; there it ends. */
const walkedMax = 2_000;
/** A page that takes longer ends with what there is. */
const pageMs = 20_000;
/** Rooms of others that are asked for ahead of their turn. */
const aheadMax = 8;
/** Rooms that are read together. */
const readAtOnceMax = 200;
/** Children that another server is told of in one answer; of the rest it may ask. */
const servedChildrenMax = 100;
/** Of all walks together, in characters of what others said of the rooms to come. */
const walksSizeMax = 32 * 1024 * 1024;
const stepSize = 200;
const walkKeptMs = 10 * 60_000;
const tokenLength = 24;

/** A room whose turn comes. */
interface Step {
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
  readonly depth: number;
  /** What the space's server says of it; null: that nobody gets in. */
  readonly told: RoomSummary | null | undefined;
}

/** Where a walk stands between two pages. Never changed, so that a page can be asked for again. */
interface Walk {
  readonly userId: UserId;
  readonly roomId: RoomId;
  readonly suggestedOnly: boolean;
  readonly maxDepth: number;
  /** The last one comes next. */
  readonly steps: readonly Step[];
  readonly seen: ReadonlySet<RoomId>;
  readonly untilMs: number;
}

export function createHierarchy(deps: HierarchyDeps): Hierarchy {
  const { local, clock, random } = deps;
  const walks = new LRUCache<string, Walk>({ maxSize: walksSizeMax });

  const begin = (userId: UserId, { roomId, suggestedOnly, maxDepth, from }: HierarchyRequest): Walk => {
    const depth = Math.min(maxDepth ?? depthMax, depthMax);
    if (from === undefined) {
      const root: Step = { roomId, via: [], depth: 0, told: undefined };
      return { userId, roomId, suggestedOnly, maxDepth: depth, steps: [root], seen: new Set(), untilMs: 0 };
    }
    const walk = walks.get(from);
    if (!walk || walk.userId !== userId || walk.roomId !== roomId || walk.untilMs <= clock.monotonic()) {
      throw invalidParam('from is not a token of this space');
    }
    if (walk.suggestedOnly !== suggestedOnly || (maxDepth !== undefined && walk.maxDepth !== depth)) {
      throw invalidParam('suggested_only and max_depth cannot change between pages');
    }
    return walk;
  };

  return {
    async list(userId, request) {
      const walk = begin(userId, request);
      const page = new Page(deps, walk);
      const limit = Math.min(request.limit ?? pageRoomsDefault, pageRoomsMax);
      const rooms = await page.read(limit);
      if (rooms.length === 0 && request.from === undefined) throw forbidden('You are not allowed to view this room');
      if (!page.hasMore()) return { rooms };
      const token = random.token(tokenLength);
      const { steps, seen } = page;
      const rest = { ...walk, steps: [...steps], seen: new Set(seen), untilMs: clock.monotonic() + walkKeptMs };
      walks.set(token, rest, { size: sizeOf(rest) });
      return { rooms, next_batch: token };
    },

    async listForServer(origin, { roomId, suggestedOnly }) {
      const room = (await local.read([roomId])).get(roomId);
      if (!room || !(await local.listSeenByServer(origin, new Map([[roomId, room]]))).has(roomId)) {
        throw notFound('The room is not known here, or your users may not enter it');
      }
      const events = await local.listChildren(room, suggestedOnly);
      const children = await local.read(events.slice(0, servedChildrenMax).map(({ state_key: child }) => child));
      const seen = await local.listSeenByServer(origin, children);
      return {
        room: { ...summaryOf(room), children_state: events },
        children: [...children.values()].filter((child) => seen.has(child.roomId)).map(summaryOf),
        inaccessible_children: [...children.keys()].filter((child) => !seen.has(child)),
      };
    },
  };
}

/** One page of a walk. */
class Page {
  readonly steps: Step[];
  readonly seen: Set<RoomId>;
  readonly #deps: HierarchyDeps;
  readonly #walk: Walk;
  readonly #facts = new Map<RoomId, RoomFacts>();
  readonly #memberships = new Map<RoomId, Membership>();
  /** What was read into the two. */
  readonly #read = new Set<RoomId>();

  constructor(deps: HierarchyDeps, walk: Walk) {
    this.#deps = deps;
    this.#walk = walk;
    this.steps = [...walk.steps];
    this.seen = new Set(walk.seen);
  }

  hasMore(): boolean {
    return this.seen.size < walkedMax && this.steps.some(({ roomId }) => !this.seen.has(roomId));
  }

  async read(limit: number): Promise<HierarchyRoom[]> {
    const endsAtMs = this.#deps.clock.monotonic() + pageMs;
    const rooms: HierarchyRoom[] = [];
    while (rooms.length < limit && this.seen.size < walkedMax && this.#deps.clock.monotonic() < endsAtMs) {
      const step = this.steps.at(-1);
      if (!step) break;
      if (!this.seen.has(step.roomId)) {
        await this.#readAhead(step);
        const found = await this.#look(step);
        this.steps.pop();
        this.seen.add(step.roomId);
        if (!found) continue;
        rooms.push(found.room);
        if (step.depth < this.#walk.maxDepth) this.#push(found.below);
      } else {
        this.steps.pop();
      }
    }
    return rooms;
  }

  /** Their turn comes next, the first one first. What would go beyond the bound of a walk is left out. */
  #push(below: readonly Step[]): void {
    const unseen = below.filter(({ roomId }) => !this.seen.has(roomId));
    const space = Math.max(0, walkedMax - this.seen.size - this.steps.length);
    this.steps.push(...unseen.slice(0, space).reverse());
  }

  /** What comes next is read together, and asked of others side by side. */
  async #readAhead(step: Step): Promise<void> {
    const { local, remote } = this.#deps;
    if (!this.#read.has(step.roomId)) {
      const next = this.steps.slice(-readAtOnceMax).map(({ roomId }) => roomId);
      const unread = next.filter((roomId) => !this.#read.has(roomId));
      for (const [roomId, facts] of await local.read(unread)) this.#facts.set(roomId, facts);
      for (const [roomId, membership] of await local.readMemberships(this.#walk.userId, unread)) {
        this.#memberships.set(roomId, membership);
      }
      for (const roomId of unread) this.#read.add(roomId);
    }
    if (!this.#mustAsk(step)) return;
    const others = this.steps
      .slice(-readAtOnceMax)
      .reverse()
      .filter((one) => this.#mustAsk(one));
    for (const { roomId, via } of others.slice(1, aheadMax)) void remote.find(roomId, via, this.#walk.suggestedOnly);
  }

  #mustAsk({ roomId, told }: Step): boolean {
    if (this.seen.has(roomId) || this.#deps.local.isHere(roomId) || told === null) return false;
    return told === undefined || told.room_type === spaceType;
  }

  async #look(step: Step): Promise<{ room: HierarchyRoom; below: Step[] } | undefined> {
    const { local } = this.#deps;
    if (!local.isHere(step.roomId)) return this.#lookElsewhere(step);
    const facts = this.#facts.get(step.roomId);
    if (!facts || !local.isSeenByUser(facts, this.#walk.userId, this.#memberships.get(step.roomId))) return undefined;
    const children = await local.listChildren(facts, this.#walk.suggestedOnly);
    return {
      room: { ...summaryOf(facts), children_state: children },
      below: children.map((child) => stepTo(child, step.depth + 1, undefined)),
    };
  }

  async #lookElsewhere(step: Step): Promise<{ room: HierarchyRoom; below: Step[] } | undefined> {
    if (step.told === null) return undefined;
    const asked = this.#mustAsk(step)
      ? await this.#deps.remote.find(step.roomId, step.via, this.#walk.suggestedOnly)
      : undefined;
    const summary = asked?.summary ?? step.told;
    const membership = this.#memberships.get(step.roomId);
    if (!summary || !this.#deps.remote.isSeenByUser(summary, this.#walk.userId, membership)) return undefined;
    const children = summary.room_type === spaceType ? (asked?.children ?? []) : [];
    return {
      room: { ...summary, children_state: children },
      below: children.map((child) => {
        const told = asked?.inaccessible.has(child.state_key) ? null : asked?.childRooms.get(child.state_key);
        return stepTo(child, step.depth + 1, told);
      }),
    };
  }
}

function sizeOf({ steps, seen }: Walk): number {
  const told = steps.reduce((sum, { told }) => sum + (told ? JSON.stringify(told).length : 0), 0);
  return told + (steps.length + seen.size + 1) * stepSize;
}

function stepTo(child: SpaceChild, depth: number, told: Step['told']): Step {
  return { roomId: child.state_key, via: viaOf(child.content), depth, told };
}
