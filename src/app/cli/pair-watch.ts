import type { LocalUser } from './local-client.ts';
import { type Pair, presenceOnly } from './pair-story.ts';

/** Syncs as each of the two and says, one line per event, what they see. Ends when `signal` is aborted. */
export function watchPresence(pair: Pair, signal: AbortSignal, print: (line: string) => void): void {
  for (const { watcher } of pair.people) {
    watch(watcher, signal, print).catch((error: unknown) => {
      if (!signal.aborted)
        print(`${watcher.userId} no longer watches: ${error instanceof Error ? error.message : 'unknown'}`);
    });
  }
}

async function watch(user: LocalUser, signal: AbortSignal, print: (line: string) => void): Promise<void> {
  const filter = encodeURIComponent(JSON.stringify(presenceOnly));
  let since = '';
  while (!signal.aborted) {
    const query = `filter=${filter}&timeout=30000${since === '' ? '' : `&since=${encodeURIComponent(since)}`}`;
    const answer = await user.get(`/sync?${query}`, signal);
    since = String(answer.next_batch);
    for (const event of presenceEvents(answer)) print(describeEvent(user.userId, event));
  }
}

interface PresenceEvent {
  sender: string;
  content: { presence: string; status_msg?: string; currently_active?: boolean };
}

function presenceEvents(answer: Record<string, unknown>): PresenceEvent[] {
  const presence = answer.presence as { events?: PresenceEvent[] } | undefined;
  return presence?.events ?? [];
}

function describeEvent(viewer: string, { sender, content }: PresenceEvent): string {
  const active = content.currently_active ? ', active now' : '';
  const status = content.status_msg === undefined ? '' : `, "${content.status_msg}"`;
  return `${viewer.padEnd(22)} sees ${sender.padEnd(22)} ${content.presence}${active}${status}`;
}
