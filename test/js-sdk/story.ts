import { EventType, MsgType, Preset, Visibility } from 'matrix-js-sdk';
import { expect } from 'vitest';
import type { TestServer } from '../support/server.ts';
import { SdkUser } from './sdk-user.ts';

export interface StoryPlaces {
  readonly alicesServer: TestServer;
  readonly bobsServer: TestServer;
}

/**
 * What two people do with their clients on their first day: they register, log in, meet in a room, talk, type, read, see each other come and
 * go, and one of them reloads the page. Nothing but the client library speaks to the servers.
 */
export async function playStory({ alicesServer, bobsServer }: StoryPlaces): Promise<void> {
  await SdkUser.register(alicesServer, 'alice');
  await SdkUser.register(bobsServer, 'bob');
  const alice = await SdkUser.logIn(alicesServer, 'alice');
  const bob = await SdkUser.logIn(bobsServer, 'bob');
  const open = [alice, bob];
  try {
    await Promise.all([alice.start(), bob.start()]);

    const { room_id: roomId } = await alice.client.createRoom({
      name: 'The lamp room',
      preset: Preset.PrivateChat,
      visibility: Visibility.Private,
    });
    await alice.seesMembership(roomId, 'join');
    await alice.client.invite(roomId, bob.userId);
    await bob.seesMembership(roomId, 'invite');
    expect(bob.client.getRoom(roomId)?.name).toBe('The lamp room');
    await bob.client.joinRoom(roomId);
    await bob.seesMembership(roomId, 'join');
    await alice.seesMember(roomId, bob.userId, 'join');

    await alice.client.sendMessage(roomId, { msgtype: MsgType.Text, body: 'Is the light on?' });
    const question = await bob.seesMessage(roomId, 'Is the light on?');
    expect(question.getSender()).toBe(alice.userId);
    await bob.client.sendMessage(roomId, { msgtype: MsgType.Text, body: 'It is.' });
    await alice.seesMessage(roomId, 'It is.');
    expect(alice.bodies(roomId)).toEqual(['Is the light on?', 'It is.']);
    expect(bob.bodies(roomId)).toEqual(['Is the light on?', 'It is.']);

    await bob.client.sendTyping(roomId, true, 20_000);
    await alice.sees(() => alice.client.getRoom(roomId)?.getMember(bob.userId)?.typing === true);
    await bob.client.sendTyping(roomId, false, 0);
    await alice.sees(() => alice.client.getRoom(roomId)?.getMember(bob.userId)?.typing === false);

    await bob.client.sendReadReceipt(question);
    await alice.sees(() => alice.client.getRoom(roomId)?.hasUserReadEvent(bob.userId, String(question.getId())));

    await alice.client.setPresence({ presence: 'unavailable', status_msg: 'trimming the wick' });
    const away = await bob.seesPresence(alice.userId, 'unavailable');
    expect(away.presenceStatusMsg).toBe('trimming the wick');
    await bob.client.setPresence({ presence: 'unavailable' });
    await alice.seesPresence(bob.userId, 'unavailable');
    await alice.client.setPresence({ presence: 'online' });
    await bob.seesPresence(alice.userId, 'online');

    await alice.client.setRoomName(roomId, 'The bright room');
    await bob.sees(() => bob.client.getRoom(roomId)?.name === 'The bright room');
    await alice.client.redactEvent(
      roomId,
      String(alice.client.getRoom(roomId)?.getLiveTimeline().getEvents().at(-2)?.getId()),
    );

    bob.stop();
    await alice.client.sendMessage(roomId, { msgtype: MsgType.Text, body: 'Welcome back.' });
    const reloaded = SdkUser.resume(bobsServer, bob.session);
    open.push(reloaded);
    await reloaded.start();
    await reloaded.seesMessage(roomId, 'Welcome back.');
    expect(reloaded.bodies(roomId).at(-1)).toBe('Welcome back.');
    expect(reloaded.client.getRoom(roomId)?.name).toBe('The bright room');
    expect(reloaded.client.getRoom(roomId)?.currentState.getStateEvents(EventType.RoomCreate, '')).not.toBeNull();
    await reloaded.client.sendMessage(roomId, { msgtype: MsgType.Text, body: 'Good to see you.' });
    await alice.seesMessage(roomId, 'Good to see you.');
  } finally {
    for (const user of open) user.stop();
  }
}
