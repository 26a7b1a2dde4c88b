import { describe, expect, it } from 'vitest';
import { createAppServices, findDuplicate } from '../../../src/appservices/app-services.ts';
import { ownsUser } from '../../../src/appservices/namespaces.ts';
import { parseRegistration, RegistrationError } from '../../../src/appservices/registration.ts';
import type { RoomAlias, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const server = 'here.example' as ServerName;
const user = (localpart: string, of: string = server) => `@${localpart}:${of}` as UserId;
const alias = (localpart: string, of: string = server) => `#${localpart}:${of}` as RoomAlias;

const plain = {
  id: 'irc',
  url: 'http://127.0.0.1:1234',
  as_token: 'as-irc',
  hs_token: 'hs-irc',
  sender_localpart: '_irc_bot',
  namespaces: {
    users: [{ exclusive: true, regex: '@_irc_.*' }],
    aliases: [{ exclusive: false, regex: '#_irc_.*' }],
    rooms: [],
  },
};

const parse = (changes: Record<string, unknown> = {}) => parseRegistration({ ...plain, ...changes }, server);
const withUsers = (regex: unknown, exclusive: unknown = true) =>
  parse({ namespaces: { users: [{ exclusive, regex }] } });

describe('a registration', () => {
  it('says who the service is and where it stands', () => {
    const service = parse({ url: 'https://bridge.example/irc/', protocols: ['irc'], rate_limited: false });
    expect(service).toMatchObject({
      id: 'irc',
      asToken: 'as-irc',
      hsToken: 'hs-irc',
      sender: '@_irc_bot:here.example',
    });
    expect(service.url).toEqual({
      target: { scheme: 'https', host: 'bridge.example', port: 443 },
      host: 'bridge.example',
      basePath: '/irc',
    });
    expect([service.protocols, service.rateLimited]).toEqual([['irc'], false]);
  });

  it('binds its users by rate limits and gets nothing ephemeral unless it says so', () => {
    expect(parse()).toMatchObject({ rateLimited: true, receiveEphemeral: false, protocols: [] });
    expect(parse({ receive_ephemeral: true }).receiveEphemeral).toBe(true);
    expect(parse({ receive_ephemeral: false, push_ephemeral: true }).receiveEphemeral).toBe(false);
    const proposed = { 'de.sorunome.msc2409.push_ephemeral': true };
    expect(parse(proposed)).toMatchObject({ receiveEphemeral: true, knowsProposalOnly: true });
    expect(parse({ ...proposed, receive_ephemeral: true })).toMatchObject({ knowsProposalOnly: false });
  });

  it.each([null, ''])('may have no place to be asked: %j', (url) => {
    expect(parse({ url }).url).toBeNull();
  });

  it('may stand at an IPv6 address and a port', () => {
    expect(parse({ url: 'http://[::1]:29318' }).url).toEqual({
      target: { scheme: 'http', host: '::1', port: 29318 },
      host: '[::1]:29318',
      basePath: '',
    });
  });

  it('may have a sender with capitals, as bridges draw them at random', () => {
    expect(parse({ sender_localpart: 'aB3-x' }).sender).toBe('@aB3-x:here.example');
  });

  it('may hold what other servers know', () => {
    expect(parse({ 'org.matrix.msc3202': true, 'io.element.msc4190': true }).id).toBe('irc');
  });

  it.each([
    ['no mapping', [], 'the file'],
    ['a text', 'id: x', 'the file'],
  ])('is refused when it is %s', (_what, value, message) => {
    expect(() => parseRegistration(value, server)).toThrow(message);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no id', { id: undefined }, 'id must be a text'],
    ['an id that is a number', { id: 7 }, 'id must be a text'],
    ['no url at all', { url: undefined }, 'url is missing'],
    ['a url of another scheme', { url: 'ftp://a' }, 'url must begin with http'],
    ['a url that is none', { url: 'bridge' }, 'url must begin with http'],
    ['a url with a query', { url: 'http://a/?b' }, 'url may hold'],
    ['a url with a password', { url: 'http://a:b@c/' }, 'url may hold'],
    ['an empty token', { as_token: '' }, 'as_token must be a text'],
    ['a token that no header carries', { hs_token: 'a b' }, 'hs_token may hold'],
    ['a sender that is a whole id', { sender_localpart: '@a:b' }, 'sender_localpart may only hold'],
    ['a sender that is too long', { sender_localpart: 'a'.repeat(255) }, 'sender_localpart is too long'],
    ['a limit that is a word', { rate_limited: 'no' }, 'rate_limited must be true or false'],
    ['namespaces that are a list', { namespaces: [] }, 'namespaces must be a mapping'],
    ['users that are no list', { namespaces: { users: {} } }, 'namespaces.users must be a list'],
    ['a namespace that is a text', { namespaces: { rooms: ['a'] } }, 'namespaces.rooms[0] must be a mapping'],
    ['protocols that are a text', { protocols: 'irc' }, 'protocols must be a list'],
  ])('is refused with %s', (_what, changes, message) => {
    expect(() => parse(changes)).toThrow(RegistrationError);
    expect(() => parse(changes)).toThrow(message);
  });
});

describe('the pattern of a namespace', () => {
  it.each<[string, string, boolean]>([
    ['@_irc_.*', '_irc_a', true],
    ['@_irc_.*', 'x_irc_a', false],
    // The beginning is bound, the end is free.
    ['@_irc', '_irc_a', true],
    ['@_irc:', '_irc_a', false],
    ['^@whatsapp_[0-9]+:here\\.example$', 'whatsapp_15', true],
    ['^@whatsapp_[0-9]+:here\\.example$', 'whatsapp_x', false],
    ['@(a|b)_.*', 'b_1', true],
    ['@(foo)?bar', 'bar', true],
  ])('%s of @%s:here.example: %s', (regex, localpart, expected) => {
    expect(createAppServices([withUsers(regex)]).listOfUser(user(localpart)).length > 0).toBe(expected);
  });

  it.each<[string, unknown]>([
    ['is no regular expression', '@(a'],
    ['is another language', '(?P<a>@.*)'],
    ['repeats a group that repeats', '@(a+)+x'],
    ['repeats a group with a choice', '@(?:a|a)*x'],
    ['repeats a group that holds such a one deeper', '@((a+)b)*x'],
    ['names a class', '@[[:alpha:]]+'],
    ['is too long', `@${'a'.repeat(1_000)}`],
    ['is no text', 5],
    ['is empty', ''],
  ])('is refused when it %s', (_what, regex) => {
    expect(() => withUsers(regex)).toThrow(/namespaces\.users\[0\]\.regex/);
  });

  it('must say whether it is exclusive', () => {
    expect(() => withUsers('@a.*', null)).toThrow('namespaces.users[0].exclusive');
    expect(() => withUsers('@a.*', 'yes')).toThrow('namespaces.users[0].exclusive');
  });

  it.each(['@a(b){2}', '@[(*+]x+', '@\\(a+\\)+', '@(a+)?b'])('%s is bounded and taken', (regex) => {
    expect(withUsers(regex).users).toHaveLength(1);
  });
});

describe('application services', () => {
  const irc = parse();
  const logger = parse({
    id: 'log',
    as_token: 'as-log',
    sender_localpart: 'logger',
    namespaces: {
      users: [{ exclusive: false, regex: '@.*' }],
      aliases: [{ exclusive: true, regex: '#log_.*' }],
      rooms: [{ exclusive: false, regex: '!abc' }],
    },
  });
  const services = createAppServices([irc, logger]);

  it('are known by their tokens', () => {
    expect(services.findByToken('as-log')).toBe(logger);
    expect(services.findByToken('as-lo')).toBeUndefined();
    expect(services.findByToken('hs-irc')).toBeUndefined();
    expect(services.findById('irc')).toBe(irc);
    expect(services.findById('x')).toBeUndefined();
  });

  it('are interested in users of this server only, and in their sender', () => {
    expect(services.listOfUser(user('_irc_a'))).toEqual([irc, logger]);
    expect(services.listOfUser(user('alice'))).toEqual([logger]);
    expect(services.listOfUser(user('_irc_a', 'there.example'))).toEqual([]);
    expect(createAppServices([parse({ namespaces: {} })]).listOfUser(user('_irc_bot'))).toHaveLength(1);
  });

  it('are interested in aliases of any server and in rooms', () => {
    expect(services.listOfAlias(alias('_irc_x', 'there.example'))).toEqual([irc]);
    expect(services.listOfAlias(alias('x'))).toEqual([]);
    expect(services.listOfRoom('!abc:there.example' as RoomId)).toEqual([logger]);
    expect(services.listOfRoom('!xyz:there.example' as RoomId)).toEqual([]);
  });

  it('keep others out of what is exclusive, and themselves not', () => {
    expect(services.isUserExclusive(user('_irc_a'))).toBe(true);
    expect(services.isUserExclusive(user('_irc_a'), irc)).toBe(false);
    expect(services.isUserExclusive(user('_irc_a'), logger)).toBe(true);
    // The logger's own namespace is not exclusive, its sender is.
    expect(services.isUserExclusive(user('alice'))).toBe(false);
    expect(services.isUserExclusive(user('logger'))).toBe(true);
    expect(services.isUserExclusive(user('logger'), logger)).toBe(false);
    expect(ownsUser(irc, user('_irc_a', 'there.example'))).toBe(false);
  });

  it('keep others out of exclusive aliases of this server', () => {
    expect(services.isAliasExclusive(alias('log_x'))).toBe(true);
    expect(services.isAliasExclusive(alias('log_x'), logger)).toBe(false);
    expect(services.isAliasExclusive(alias('log_x', 'there.example'))).toBe(false);
    expect(services.isAliasExclusive(alias('_irc_x'))).toBe(false);
  });

  it('each have an id and a token of their own', () => {
    expect(findDuplicate([irc, logger])).toBeUndefined();
    expect(findDuplicate([irc, parse({ as_token: 'other' })])).toEqual({ index: 1, earlier: 0, field: 'id' });
    expect(findDuplicate([logger, irc, parse({ id: 'b' })])).toEqual({ index: 2, earlier: 1, field: 'as_token' });
  });
});
