import { assert } from '../base/assert.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Feed, Reaction } from './feed.ts';
import { type FeedDeps, ReactionReader } from './reaction-reader.ts';
import { RecentLog } from './recent-log.ts';

/** The feed with the door through which storage's commit listener comes in, behind the roster. */
export interface FeedOfCommits extends Feed {
  /** Tells the wakes, in the order they were added, then lets the reactions read on. Neither throws nor waits. */
  handle(changes: readonly Change[]): void;
}

export function createFeed(deps: FeedDeps): FeedOfCommits {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const readers = new Map<string, ReactionReader>();
  const recent = new RecentLog(deps.storage);
  let started = false;

  function tell(listener: (changes: readonly Change[]) => void, changes: readonly Change[]): void {
    try {
      listener(changes);
    } catch (err) {
      deps.log.error({ err }, 'a listener of the feed threw; the others were told all the same');
    }
  }

  return {
    onChanges(listener) {
      listeners.push(listener);
    },

    addReaction(reaction: Reaction) {
      assert(!started, 'reactions are added before the feed starts');
      assert(!readers.has(reaction.name), `two reactions are named ${reaction.name}`);
      readers.set(reaction.name, new ReactionReader(deps, recent, reaction));
    },

    handle(changes) {
      recent.add(changes);
      for (const listener of listeners) tell(listener, changes);
      for (const reader of readers.values()) reader.notice(changes);
    },

    async start() {
      started = true;
      for (const reader of readers.values()) await reader.start();
    },

    async idle() {
      // What one reaction wrote may be something to do for another.
      for (;;) {
        const busy = [...readers.values()].filter((reader) => reader.busy);
        if (busy.length === 0) return;
        await Promise.all(busy.map((reader) => reader.idle()));
      }
    },

    async stop() {
      await Promise.all([...readers.values()].map((reader) => reader.stop()));
    },
  };
}
