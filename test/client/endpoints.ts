/**
 * What the specification says that each endpoint takes, in words of our own (client-server API, server-server API, and their
 * OpenAPI descriptions): the facts from which `generated-input.test.ts` makes what no client should send.
 */

/** What a field holds. With `!` it must be there. */
export type FieldType =
  `${'string' | 'boolean' | 'integer' | 'object' | 'strings' | 'objects' | 'anything'}${'' | '!'}`;
export type Fields = Readonly<Record<string, FieldType>>;

export interface Endpoint {
  /** Method and path; a path without a version of its own stands under `/_matrix/client/v3`. */
  readonly call: string;
  /** Who may call it. */
  readonly by: 'anybody' | 'user' | 'server';
  readonly query?: Fields;
  /** `opaque`: any JSON object. Without a body, none is read. */
  readonly body?: Fields | 'opaque';
  /** A body that fits; in its strings `$user`, `$other`, `$room`, `$event`, `$alias` stand for some that exist. */
  readonly good?: Readonly<Record<string, unknown>>;
  /** A call that succeeds would end the user's session, so only such are made as cannot. */
  readonly ends?: boolean;
}

const nothing = {} as const;
const wrongPassword = { type: 'm.login.password', identifier: { type: 'm.id.user', user: '$user' }, password: 'wrong' };
const member: Fields = { user_id: 'string!', reason: 'string' };
const roomList: Fields = {
  limit: 'integer',
  since: 'string',
  include_all_networks: 'boolean',
  third_party_instance_id: 'string',
};
const via: Fields = { via: 'strings', server_name: 'strings' };

const report: Fields = { reason: 'string!' };

const administration: readonly Endpoint[] = [
  { call: 'POST /rooms/{roomId}/report/{eventId}', by: 'user', body: { reason: 'string' }, good: { reason: 'x' } },
  { call: 'POST /rooms/{roomId}/report', by: 'user', body: report, good: { reason: 'x' } },
  { call: 'POST /users/{userId}/report', by: 'user', body: report, good: { reason: 'x' } },
  { call: 'GET /admin/whois/{userId}', by: 'user' },
  { call: 'GET /_synapse/admin/v1/register', by: 'anybody' },
  {
    call: 'POST /_synapse/admin/v1/register',
    by: 'anybody',
    body: {
      nonce: 'string!',
      username: 'string!',
      password: 'string!',
      displayname: 'string',
      admin: 'boolean',
      mac: 'string!',
    },
    good: { nonce: 'x', username: 'x', password: 'x', mac: 'x' },
  },
  {
    call: 'POST /_synapse/admin/v1/send_server_notice',
    by: 'user',
    body: { user_id: 'string!', content: 'object!', type: 'string', state_key: 'string' },
    good: { user_id: '$user', content: {} },
  },
  {
    call: 'PUT /_synapse/admin/v1/send_server_notice/{txnId}',
    by: 'user',
    body: { user_id: 'string!', content: 'object!', type: 'string', state_key: 'string' },
    good: { user_id: '$user', content: {} },
  },
  { call: 'POST /_synapse/admin/v1/media/quarantine/{serverName}/{mediaId}', by: 'user' },
  { call: 'POST /_synapse/admin/v1/media/unquarantine/{serverName}/{mediaId}', by: 'user' },
  { call: 'POST /_synapse/admin/v1/room/{roomId}/media/quarantine', by: 'user' },
  { call: 'POST /_synapse/admin/v1/user/{userId}/media/quarantine', by: 'user' },
  { call: 'POST /_synapse/admin/v1/room/{roomId}/media/unquarantine', by: 'user' },
  { call: 'POST /_synapse/admin/v1/user/{userId}/media/unquarantine', by: 'user' },
  { call: 'GET /_synapse/admin/v1/event_reports', by: 'user', query: { from: 'integer', limit: 'integer' } },
];

const discovery: readonly Endpoint[] = [
  { call: 'GET /_matrix/client/versions', by: 'anybody' },
  { call: 'GET /.well-known/matrix/client', by: 'anybody' },
  { call: 'GET /capabilities', by: 'user' },
  {
    call: 'POST /_matrix/client/v1/appservice/{serviceId}/ping',
    by: 'user',
    body: { transaction_id: 'string' },
    good: { transaction_id: 'a' },
  },
];

const session: readonly Endpoint[] = [
  {
    call: 'POST /register',
    by: 'anybody',
    query: { kind: 'string' },
    body: {
      type: 'string',
      username: 'string',
      password: 'string',
      device_id: 'string',
      initial_device_display_name: 'string',
      inhibit_login: 'boolean',
      refresh_token: 'boolean',
      auth: 'object',
    },
    good: { username: 'taken?', auth: nothing },
  },
  { call: 'GET /register/available', by: 'anybody', query: { username: 'string!' } },
  { call: 'GET /login', by: 'anybody' },
  {
    call: 'POST /login',
    by: 'anybody',
    body: {
      type: 'string!',
      identifier: 'object',
      user: 'string',
      password: 'string',
      token: 'string',
      device_id: 'string',
      initial_device_display_name: 'string',
      refresh_token: 'boolean',
    },
    good: { type: 'm.login.password', user: '$user', password: 'wrong' },
  },
  { call: 'POST /_matrix/client/v1/login/get_token', by: 'user', body: { auth: 'object' }, good: nothing },
  { call: 'POST /refresh', by: 'anybody', body: { refresh_token: 'string!' }, good: { refresh_token: 'none' } },
  { call: 'POST /logout', by: 'user', ends: true },
  { call: 'POST /logout/all', by: 'user', ends: true },
];

const account: readonly Endpoint[] = [
  { call: 'GET /account/whoami', by: 'user' },
  {
    call: 'POST /account/password',
    by: 'user',
    body: { new_password: 'string', logout_devices: 'boolean', auth: 'object' },
    good: { new_password: 'other', auth: wrongPassword },
  },
  {
    call: 'POST /account/deactivate',
    by: 'user',
    body: { auth: 'object', erase: 'boolean', id_server: 'string' },
    good: { auth: wrongPassword },
  },
  { call: 'GET /account/3pid', by: 'user' },
  { call: 'POST /account/3pid', by: 'user' },
  { call: 'POST /account/3pid/add', by: 'user' },
  { call: 'POST /account/3pid/bind', by: 'user' },
  { call: 'POST /account/3pid/delete', by: 'user' },
  { call: 'POST /account/3pid/unbind', by: 'user' },
  { call: 'POST /register/email/requestToken', by: 'anybody' },
  { call: 'POST /register/msisdn/requestToken', by: 'anybody' },
  { call: 'POST /account/password/email/requestToken', by: 'anybody' },
  { call: 'POST /account/password/msisdn/requestToken', by: 'anybody' },
  { call: 'POST /account/3pid/email/requestToken', by: 'anybody' },
  { call: 'POST /account/3pid/msisdn/requestToken', by: 'anybody' },
  { call: 'POST /user/{userId}/openid/request_token', by: 'user', body: nothing, good: nothing },
  { call: 'GET /devices', by: 'user' },
  { call: 'GET /devices/{deviceId}', by: 'user' },
  { call: 'PUT /devices/{deviceId}', by: 'user', body: { display_name: 'string' }, good: { display_name: 'Name' } },
  { call: 'DELETE /devices/{deviceId}', by: 'user', body: { auth: 'object' }, good: { auth: wrongPassword } },
  {
    call: 'POST /delete_devices',
    by: 'user',
    body: { devices: 'strings!', auth: 'object' },
    good: { devices: ['none'], auth: wrongPassword },
  },
];

const userData: readonly Endpoint[] = [
  { call: 'GET /profile/{userId}', by: 'anybody' },
  { call: 'GET /profile/{userId}/{keyName}', by: 'anybody' },
  {
    call: 'PUT /profile/{userId}/{keyName}',
    by: 'user',
    body: { displayname: 'string!' },
    good: { displayname: 'Name' },
  },
  { call: 'DELETE /profile/{userId}/{keyName}', by: 'user' },
  { call: 'GET /user/{userId}/account_data/{type}', by: 'user' },
  { call: 'PUT /user/{userId}/account_data/{type}', by: 'user', body: 'opaque' },
  { call: 'GET /user/{userId}/rooms/{roomId}/account_data/{type}', by: 'user' },
  { call: 'PUT /user/{userId}/rooms/{roomId}/account_data/{type}', by: 'user', body: 'opaque' },
  { call: 'GET /user/{userId}/rooms/{roomId}/tags', by: 'user' },
  { call: 'PUT /user/{userId}/rooms/{roomId}/tags/{tag}', by: 'user', body: 'opaque', good: { order: 0.5 } },
  { call: 'DELETE /user/{userId}/rooms/{roomId}/tags/{tag}', by: 'user' },
  { call: 'POST /user/{userId}/filter', by: 'user', body: 'opaque' },
  { call: 'GET /user/{userId}/filter/{filterId}', by: 'user' },
  {
    call: 'POST /user_directory/search',
    by: 'user',
    body: { search_term: 'string!', limit: 'integer' },
    good: { search_term: 'ali' },
  },
];

const push: readonly Endpoint[] = [
  { call: 'GET /pushrules/', by: 'user' },
  { call: 'GET /pushrules/global/', by: 'user' },
  { call: 'GET /pushrules/global/{kind}/{ruleId}', by: 'user' },
  {
    call: 'PUT /pushrules/global/{kind}/{ruleId}',
    by: 'user',
    query: { before: 'string', after: 'string' },
    body: { actions: 'anything!', conditions: 'objects', pattern: 'string' },
    good: { actions: ['notify'], conditions: [{ kind: 'event_match', key: 'type', pattern: 'x' }] },
  },
  { call: 'DELETE /pushrules/global/{kind}/{ruleId}', by: 'user' },
  { call: 'GET /pushrules/global/{kind}/{ruleId}/enabled', by: 'user' },
  {
    call: 'PUT /pushrules/global/{kind}/{ruleId}/enabled',
    by: 'user',
    body: { enabled: 'boolean!' },
    good: { enabled: true },
  },
  { call: 'GET /pushrules/global/{kind}/{ruleId}/actions', by: 'user' },
  {
    call: 'PUT /pushrules/global/{kind}/{ruleId}/actions',
    by: 'user',
    body: { actions: 'anything!' },
    good: { actions: [] },
  },
  { call: 'GET /pushers', by: 'user' },
  {
    call: 'POST /pushers/set',
    by: 'user',
    body: {
      kind: 'string!',
      app_id: 'string!',
      pushkey: 'string!',
      app_display_name: 'string',
      device_display_name: 'string',
      profile_tag: 'string',
      lang: 'string',
      data: 'object',
      append: 'boolean',
    },
    good: {
      kind: 'http',
      app_id: 'org.example',
      pushkey: 'key',
      app_display_name: 'App',
      device_display_name: 'Phone',
      lang: 'en',
      data: { url: 'https://push.example/_matrix/push/v1/notify' },
    },
  },
  { call: 'GET /notifications', by: 'user', query: { from: 'string', limit: 'integer', only: 'string' } },
];

const version: Fields = { version: 'string!' };
const roomKey: Fields = {
  first_message_index: 'integer!',
  forwarded_count: 'integer!',
  is_verified: 'boolean!',
  session_data: 'object!',
};
const goodKey = { first_message_index: 0, forwarded_count: 0, is_verified: false, session_data: nothing };
const keys = '/room_keys/keys';

const keyBackups: readonly Endpoint[] = [
  { call: 'GET /room_keys/version', by: 'user' },
  {
    call: 'POST /room_keys/version',
    by: 'user',
    body: { algorithm: 'string!', auth_data: 'object!' },
    good: { algorithm: 'a', auth_data: nothing },
  },
  { call: 'GET /room_keys/version/{version}', by: 'user' },
  {
    call: 'PUT /room_keys/version/{version}',
    by: 'user',
    body: { algorithm: 'string!', auth_data: 'object!', version: 'string' },
    good: { algorithm: 'a', auth_data: nothing },
  },
  { call: 'DELETE /room_keys/version/{version}', by: 'user' },
  { call: `GET ${keys}`, by: 'user', query: version },
  { call: `PUT ${keys}`, by: 'user', query: version, body: { rooms: 'object!' }, good: { rooms: nothing } },
  { call: `DELETE ${keys}`, by: 'user', query: version },
  { call: `GET ${keys}/{roomId}`, by: 'user', query: version },
  {
    call: `PUT ${keys}/{roomId}`,
    by: 'user',
    query: version,
    body: { sessions: 'object!' },
    good: { sessions: nothing },
  },
  { call: `DELETE ${keys}/{roomId}`, by: 'user', query: version },
  { call: `GET ${keys}/{roomId}/{sessionId}`, by: 'user', query: version },
  { call: `PUT ${keys}/{roomId}/{sessionId}`, by: 'user', query: version, body: roomKey, good: goodKey },
  { call: `DELETE ${keys}/{roomId}/{sessionId}`, by: 'user', query: version },
];

const userKeys: readonly Endpoint[] = [
  {
    call: 'POST /keys/upload',
    by: 'user',
    body: { device_keys: 'object', one_time_keys: 'object', fallback_keys: 'object' },
    good: { one_time_keys: { 'signed_curve25519:A': { key: 'k', signatures: {} } } },
  },
  {
    call: 'POST /keys/query',
    by: 'user',
    body: { device_keys: 'object!', timeout: 'integer' },
    good: { device_keys: {} },
  },
  {
    call: 'POST /keys/claim',
    by: 'user',
    body: { one_time_keys: 'object!', timeout: 'integer' },
    good: { one_time_keys: {} },
  },
  { call: 'GET /keys/changes', by: 'user', query: { from: 'string!', to: 'string!' } },
  {
    call: 'POST /keys/device_signing/upload',
    by: 'user',
    body: { master_key: 'object', self_signing_key: 'object', user_signing_key: 'object', auth: 'object' },
    good: { auth: nothing },
  },
  { call: 'POST /keys/signatures/upload', by: 'user', body: 'opaque' },
];

const toDevice: readonly Endpoint[] = [
  {
    call: 'PUT /sendToDevice/{eventType}/{txnId}',
    by: 'user',
    body: { messages: 'object!' },
    good: { messages: {} },
  },
];

const rooms: readonly Endpoint[] = [
  {
    call: 'POST /createRoom',
    by: 'user',
    body: {
      visibility: 'string',
      room_alias_name: 'string',
      name: 'string',
      topic: 'string',
      invite: 'strings',
      invite_3pid: 'objects',
      room_version: 'string',
      creation_content: 'object',
      initial_state: 'objects',
      preset: 'string',
      is_direct: 'boolean',
      power_level_content_override: 'object',
    },
    good: { name: 'Name', preset: 'private_chat', invite: ['$other'] },
  },
  {
    call: 'POST /rooms/{roomId}/upgrade',
    by: 'user',
    body: { new_version: 'string!', additional_creators: 'strings' },
    good: { new_version: 'none' },
  },
  { call: 'GET /joined_rooms', by: 'user' },
  { call: 'POST /join/{roomIdOrAlias}', by: 'user', query: via, body: { reason: 'string' }, good: nothing },
  { call: 'POST /knock/{roomIdOrAlias}', by: 'user', query: via, body: { reason: 'string' }, good: nothing },
  { call: 'POST /rooms/{roomId}/join', by: 'user', query: via, body: { reason: 'string' }, good: nothing },
  { call: 'POST /rooms/{spareRoomId}/leave', by: 'user', body: { reason: 'string' }, good: nothing },
  { call: 'POST /rooms/{spareRoomId}/forget', by: 'user' },
  { call: 'POST /rooms/{roomId}/invite', by: 'user', body: member, good: { user_id: '$other' } },
  { call: 'POST /rooms/{roomId}/kick', by: 'user', body: member, good: { user_id: '$other' } },
  { call: 'POST /rooms/{roomId}/ban', by: 'user', body: member, good: { user_id: '$other' } },
  { call: 'POST /rooms/{roomId}/unban', by: 'user', body: member, good: { user_id: '$other' } },
  {
    call: 'PUT /rooms/{roomId}/send/{eventType}/{txnId}',
    by: 'user',
    query: { ts: 'anything' },
    body: 'opaque',
    good: { body: 'x' },
  },
  {
    call: 'PUT /rooms/{roomId}/redact/{eventId}/{txnId}',
    by: 'user',
    body: { reason: 'string' },
    good: { reason: 'x' },
  },
  { call: 'GET /rooms/{roomId}/state', by: 'user' },
  { call: 'GET /rooms/{roomId}/state/{eventType}/{stateKey}', by: 'user', query: { format: 'string' } },
  {
    call: 'PUT /rooms/{roomId}/state/{eventType}/{stateKey}',
    by: 'user',
    query: { ts: 'anything' },
    body: 'opaque',
    good: { a: 1 },
  },
  {
    call: 'GET /rooms/{roomId}/members',
    by: 'user',
    query: { at: 'string', membership: 'string', not_membership: 'string' },
  },
  { call: 'GET /rooms/{roomId}/joined_members', by: 'user' },
  { call: 'GET /rooms/{roomId}/event/{eventId}', by: 'user' },
  {
    call: 'GET /rooms/{roomId}/messages',
    by: 'user',
    query: { dir: 'string', from: 'string', to: 'string', limit: 'integer', filter: 'string' },
  },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
    by: 'user',
    query: { ts: 'integer!', dir: 'string!' },
  },
  {
    call: 'POST /search',
    by: 'user',
    query: { next_batch: 'string' },
    body: { search_categories: 'object!' },
    good: { search_categories: { room_events: { search_term: 'x' } } },
  },
  { call: 'GET /rooms/{roomId}/context/{eventId}', by: 'user', query: { limit: 'integer', filter: 'string' } },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}',
    by: 'user',
    query: { dir: 'string', from: 'string', to: 'string', limit: 'integer', recurse: 'boolean' },
  },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}',
    by: 'user',
    query: { dir: 'string', from: 'string', to: 'string', limit: 'integer', recurse: 'boolean' },
  },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}',
    by: 'user',
    query: { dir: 'string', from: 'string', to: 'string', limit: 'integer', recurse: 'boolean' },
  },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/threads',
    by: 'user',
    query: { include: 'string', from: 'string', limit: 'integer' },
  },
  {
    call: 'PUT /rooms/{roomId}/typing/{userId}',
    by: 'user',
    body: { typing: 'boolean!', timeout: 'integer' },
    good: { typing: false },
  },
  {
    call: 'POST /rooms/{roomId}/receipt/{receiptType}/{eventId}',
    by: 'user',
    body: { thread_id: 'string' },
    good: nothing,
  },
  {
    call: 'POST /rooms/{roomId}/read_markers',
    by: 'user',
    body: { 'm.fully_read': 'string', 'm.read': 'string', 'm.read.private': 'string' },
    good: { 'm.read': '$event' },
  },
];

const directory: readonly Endpoint[] = [
  { call: 'GET /directory/room/{roomAlias}', by: 'anybody' },
  { call: 'PUT /directory/room/{roomAlias}', by: 'user', body: { room_id: 'string!' }, good: { room_id: '$room' } },
  { call: 'DELETE /directory/room/{roomAlias}', by: 'user' },
  { call: 'GET /rooms/{roomId}/aliases', by: 'user' },
  {
    call: 'GET /publicRooms',
    by: 'anybody',
    query: roomList,
  },
  {
    call: 'POST /publicRooms',
    by: 'user',
    body: { ...roomList, filter: 'object' },
    good: { limit: 1 },
  },
  {
    call: 'GET /_matrix/client/v1/rooms/{roomId}/hierarchy',
    by: 'user',
    query: { suggested_only: 'boolean', limit: 'integer', max_depth: 'integer', from: 'string' },
  },
  { call: 'GET /_matrix/client/v1/room_summary/{roomIdOrAlias}', by: 'anybody', query: { via: 'strings' } },
  {
    call: 'PUT /directory/list/appservice/{networkId}/{roomId}',
    by: 'user',
    body: { visibility: 'string!' },
    good: { visibility: 'public' },
  },
  { call: 'DELETE /directory/list/appservice/{networkId}/{roomId}', by: 'user' },
  { call: 'GET /directory/list/room/{roomId}', by: 'anybody' },
  {
    call: 'PUT /directory/list/room/{roomId}',
    by: 'user',
    body: { visibility: 'string' },
    good: { visibility: 'private' },
  },
];

const reading: readonly Endpoint[] = [
  {
    call: 'GET /sync',
    by: 'user',
    query: {
      since: 'string',
      filter: 'string',
      full_state: 'boolean',
      use_state_after: 'boolean',
      'org.matrix.msc4222.use_state_after': 'boolean',
      set_presence: 'string',
      timeout: 'integer',
    },
  },
  { call: 'GET /presence/{userId}/status', by: 'user' },
  {
    call: 'PUT /presence/{userId}/status',
    by: 'user',
    body: { presence: 'string!', status_msg: 'string' },
    good: { presence: 'online' },
  },
  // Ours: no specification has it.
  {
    call: 'GET /_matrix/client/unstable/dev.lantern/presence/audience',
    by: 'user',
    query: { from: 'string', limit: 'integer' },
  },
];

const wait: Fields = { timeout_ms: 'integer' };
const thumbnail: Fields = {
  ...wait,
  width: 'integer!',
  height: 'integer!',
  method: 'string',
  animated: 'boolean',
};
const remote: Fields = { allow_remote: 'boolean' };
const place = '{serverName}/{mediaId}';

const media: readonly Endpoint[] = [
  { call: 'GET /_matrix/client/v1/media/config', by: 'user' },
  { call: 'GET /_matrix/client/v1/media/preview_url', by: 'user', query: { url: 'string!' } },
  { call: `GET /_matrix/client/v1/media/download/${place}`, by: 'user', query: wait },
  { call: `GET /_matrix/client/v1/media/download/${place}/{fileName}`, by: 'user', query: wait },
  { call: `GET /_matrix/client/v1/media/thumbnail/${place}`, by: 'user', query: thumbnail },
  { call: `GET /_matrix/media/v3/download/${place}`, by: 'anybody', query: { ...wait, ...remote } },
  { call: `GET /_matrix/media/v3/download/${place}/{fileName}`, by: 'anybody', query: { ...wait, ...remote } },
  { call: `GET /_matrix/media/v3/thumbnail/${place}`, by: 'anybody', query: { ...thumbnail, ...remote } },
  { call: 'POST /_matrix/media/v3/upload', by: 'user', query: { filename: 'string' } },
  { call: 'POST /_matrix/media/v1/create', by: 'user' },
  { call: `PUT /_matrix/media/v3/upload/${place}`, by: 'user', query: { filename: 'string' } },
];

const notHere: readonly Endpoint[] = [
  { call: 'GET /voip/turnServer', by: 'user' },
  { call: 'GET /thirdparty/protocols', by: 'user' },
  { call: 'GET /thirdparty/protocol/{protocol}', by: 'user' },
  { call: 'GET /thirdparty/location', by: 'user' },
  { call: 'GET /thirdparty/location/{protocol}', by: 'user' },
  { call: 'GET /thirdparty/user', by: 'user' },
  { call: 'GET /thirdparty/user/{protocol}', by: 'user' },
];

const federation = '/_matrix/federation/v1';
const federation2 = '/_matrix/federation/v2';

/** Without a signature of another server there is nothing to be had of most of these, whatever is sent. */
const servers: readonly Endpoint[] = [
  { call: 'GET /_matrix/key/v2/server', by: 'anybody' },
  { call: 'GET /_matrix/key/v2/server/{keyId}', by: 'anybody' },
  { call: 'POST /_matrix/key/v2/query', by: 'anybody', body: { server_keys: 'object!' }, good: { server_keys: {} } },
  { call: 'GET /_matrix/key/v2/query/{ownName}', by: 'anybody', query: { minimum_valid_until_ts: 'integer' } },
  { call: `GET ${federation}/version`, by: 'anybody' },
  { call: `GET ${federation}/openid/userinfo`, by: 'anybody', query: { access_token: 'string!' } },
  { call: `PUT ${federation}/send/{txnId}`, by: 'server', body: 'opaque' },
  { call: `GET ${federation}/query/profile`, by: 'server', query: { user_id: 'string!', field: 'string' } },
  { call: `GET ${federation}/query/directory`, by: 'server', query: { room_alias: 'string!' } },
  { call: `GET ${federation}/media/download/{mediaId}`, by: 'server', query: wait },
  { call: `GET ${federation}/media/thumbnail/{mediaId}`, by: 'server', query: thumbnail },
  { call: `GET ${federation}/user/devices/{userId}`, by: 'server' },
  {
    call: `POST ${federation}/user/keys/query`,
    by: 'server',
    body: { device_keys: 'object!' },
    good: { device_keys: {} },
  },
  {
    call: `POST ${federation}/user/keys/claim`,
    by: 'server',
    body: { one_time_keys: 'object!' },
    good: { one_time_keys: {} },
  },
  { call: `GET ${federation}/make_join/{roomId}/{userId}`, by: 'server', query: { ver: 'strings' } },
  { call: `PUT ${federation}/send_join/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `PUT ${federation2}/send_join/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `GET ${federation}/make_leave/{roomId}/{userId}`, by: 'server' },
  { call: `PUT ${federation}/send_leave/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `PUT ${federation2}/send_leave/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `GET ${federation}/make_knock/{roomId}/{userId}`, by: 'server', query: { ver: 'strings' } },
  { call: `PUT ${federation}/send_knock/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `PUT ${federation}/invite/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `PUT ${federation2}/invite/{roomId}/{eventId}`, by: 'server', body: 'opaque' },
  { call: `GET ${federation}/hierarchy/{roomId}`, by: 'server', query: { suggested_only: 'boolean' } },
  { call: `GET ${federation}/publicRooms`, by: 'server', query: roomList },
  { call: `POST ${federation}/publicRooms`, by: 'server', body: 'opaque' },
  { call: `GET ${federation}/event/{eventId}`, by: 'server' },
  {
    call: `GET ${federation}/timestamp_to_event/{roomId}`,
    by: 'server',
    query: { ts: 'integer!', dir: 'string!' },
  },
  { call: `GET ${federation}/state/{roomId}`, by: 'server', query: { event_id: 'string!' } },
  { call: `GET ${federation}/state_ids/{roomId}`, by: 'server', query: { event_id: 'string!' } },
  { call: `GET ${federation}/event_auth/{roomId}/{eventId}`, by: 'server' },
  { call: `GET ${federation}/backfill/{roomId}`, by: 'server', query: { v: 'strings', limit: 'integer' } },
  { call: `POST ${federation}/get_missing_events/{roomId}`, by: 'server', body: 'opaque' },
];

export const endpoints: readonly Endpoint[] = [
  ...discovery,
  ...administration,
  ...session,
  ...account,
  ...userData,
  ...push,
  ...keyBackups,
  ...userKeys,
  ...toDevice,
  ...rooms,
  ...directory,
  ...reading,
  ...media,
  ...notHere,
  ...servers,
];
