import { assert } from '../../src/base/assert.ts';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../src/matrix/pdu.ts';
import { defaultPushRules } from '../../src/matrix/push-rules.ts';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { AskedEvent } from '../../src/push/asked-event.ts';
import { compilePushRules } from '../../src/push/evaluate.ts';
import type { JudgedEvent } from '../../src/push/judging/judgement.ts';
import { createNotify } from '../../src/push/judging/notify.ts';
import { OwnRules } from '../../src/push/judging/own-rules.ts';
import { encodeOwnRules } from '../../src/push/ruleset.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { ratesSideBySide } from '../support/timing.ts';

const serverName = 'a.test' as ServerName;
const roomId = '!room:a.test' as RoomId;
const sender = '@sender:b.test' as UserId;
const many = 1_000;
const few = 10;

/**
 * What a message of a room with a thousand of our users costs by their push rules, without storage. The limits: the same in a room of ten, for what
 * must not grow with the room; the compiled default rules asked a thousand times, for what must.
 */
export const thousandMembersPart: BenchPart = {
  name: 'push rules of 1 000 members',
  run: async () => {
    const plain = message({});
    const naming = message({ 'm.mentions': { user_ids: namesOf(5) } });
    return [
      await compare('a message, nobody has rules of their own', plain, [0, 0], { timesLimit: 2 }),
      await compare('a message that names five', naming, [0, 0], { timesLimit: 2 }),
      await compare('a message, ten have rules of their own', plain, [few, few], { timesLimit: 2 }),
      await everybodySingly(plain),
    ];
  },
};

function namesOf(count: number): UserId[] {
  return Array.from({ length: count }, (_, index) => `@member${index}:${serverName}` as UserId);
}

function message(more: JsonObject): JudgedEvent {
  const body =
    'a message as long as such messages are on the average in a busy room, with a word or two that somebody waits for';
  const event: RoomEvent = {
    eventId: '$event' as EventId,
    roomId,
    roomVersion: '11',
    pdu: {
      type: 'm.room.message',
      sender,
      content: { msgtype: 'm.text', body, ...more },
      depth: 1,
      origin_server_ts: 1,
      prev_events: [],
      auth_events: [],
      hashes: { sha256: '' },
      signatures: {},
    },
  };
  return { event, version: getRoomVersion('11'), readState: async () => new Map() };
}

/** A room of so many, of whom some have muted another room and wait for a word. */
async function roomOf(members: number, owners: number): Promise<(judged: JudgedEvent) => Promise<Row[]>> {
  const users = new Set(namesOf(members));
  const rule = { default: false, enabled: true };
  const content = encodeOwnRules({
    rules: {
      override: [],
      content: [{ ...rule, rule_id: 'word', pattern: 'lantern', actions: ['notify', { set_tweak: 'highlight' }] }],
      room: [{ ...rule, rule_id: '!other:a.test', actions: [] }],
      sender: [],
      underride: [],
    },
    defaults: {},
  });
  const rows = namesOf(owners).map((userId) => ({ userId, roomId: null, type: 'm.push_rules', content }));
  const ownRules = new OwnRules({
    listOfType: async (_type, after) => (after === null ? rows : []),
    listOfUsers: async () => rows,
  });
  await ownRules.load();
  return createNotify({
    serverName,
    roster: { localUsersIn: () => users, usersIn: () => users, isJoined: () => true },
    ownRules,
    ignorers: { of: () => new Set() },
    findThread: async () => undefined,
  });
}

async function compare(
  name: string,
  judged: JudgedEvent,
  owners: readonly [few: number, many: number],
  bound: { timesLimit: number },
): Promise<Measure> {
  const [small, large] = [await roomOf(few, owners[0]), await roomOf(many, owners[1])];
  const { ours, ten } = await ratesSideBySide({ ours: repeat(large, judged), ten: repeat(small, judged) });
  return { name, unit: 'µs', value: 1e6 / ours, limit: { what: 'a room of ten', value: 1e6 / ten }, bound };
}

async function everybodySingly(judged: JudgedEvent): Promise<Measure> {
  const notify = await roomOf(many, many);
  const evaluate = compilePushRules(defaultPushRules(sender));
  const { type, content } = judged.event.pdu;
  const pushed = {
    event: new AskedEvent({ type, sender, room_id: roomId, content }),
    memberCount: many,
    displayName: null,
    senderMayNotify: () => false,
  };
  const bare = (count: number): void => {
    for (let done = 0; done < count * many; done += 1) assert(evaluate(pushed).length === 1, 'it notifies');
  };
  const rates = await ratesSideBySide({ ours: repeat(notify, judged), bare }, { batch: 2 });
  return {
    name: 'a message, all have rules of their own',
    unit: 'µs',
    value: 1e6 / rates.ours,
    limit: { what: 'the default rules, 1 000 times', value: 1e6 / rates.bare },
    bound: { atMost: 20_000 },
  };
}

function repeat(notify: (judged: JudgedEvent) => Promise<Row[]>, judged: JudgedEvent) {
  return async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 1) {
      const rows = await notify(judged);
      assert(rows.length === 1, 'the message notifies');
    }
  };
}
