import fc from 'fast-check';
import { type Endpoint, endpoints, type Fields, type FieldType } from '../client/endpoints.ts';

/** Whose token a request carries. */
export type Token = 'own' | 'none' | 'unknown' | 'signed out' | 'expired' | 'foreign';

/** What must come of a request, besides that no request may break the server. */
export type Expected =
  | 'anything'
  /** 400 for what was sent. */
  | 'malformed'
  | 'not JSON'
  /** Whatever else is wrong, not the form of the body. */
  | 'well-formed'
  | 'no token'
  | 'bad token'
  | 'no signature'
  | 'no such method';

/** A request with one fault, or with several. Everything in it is data, so that a failure can be written down and repeated. */
export interface BadRequest {
  readonly endpoint: Endpoint;
  readonly fault: string;
  readonly expected: Expected;
  readonly method: string;
  /** Encoded values for the places of the path; the others get something that fits. */
  readonly parts: Readonly<Record<string, string>>;
  /** Encoded, with its question mark; or empty. */
  readonly query: string;
  readonly token: Token;
  readonly authorization: string | null;
  /** Text, bytes, or fields in which strings like `$room` are still to be replaced. Undefined: none. */
  readonly body: string | Uint8Array<ArrayBuffer> | { readonly fields: unknown } | undefined;
  /** Where this many bytes more are to be put. */
  readonly padding: { readonly where: 'path' | 'query' | 'body'; readonly bytes: number } | null;
}

const mebibyte = 1024 * 1024;

const partsOf = ({ call }: Endpoint): string[] => [...call.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
const methodOf = ({ call }: Endpoint): string => call.slice(0, call.indexOf(' '));
export const pathOf = ({ call }: Endpoint): string => {
  const path = call.slice(call.indexOf(' ') + 1);
  return /^\/(_matrix|_synapse|\.well-known)\//.test(path) ? path : `/_matrix/client/v3${path}`;
};

/** Paths that differ only in the names of their places are one. */
const shapeOf = (endpoint: Endpoint): string => pathOf(endpoint).replace(/\{\w+\}/g, '{}');
const methodsOfShape = new Map<string, Set<string>>();
for (const endpoint of endpoints) {
  const known = methodsOfShape.get(shapeOf(endpoint)) ?? new Set();
  methodsOfShape.set(shapeOf(endpoint), known.add(methodOf(endpoint)));
}

const hostileParts = [
  '/',
  '%2F',
  '..',
  '.',
  '%2e%2e%2f',
  '%00',
  '%0a',
  '%20',
  ';',
  ':',
  '!',
  '@',
  '#',
  '$',
  '%40%3A',
  '__proto__',
  'constructor',
  '%F0%9F%92%A5',
  'e%CC%81',
  '%E2%80%AE',
  '-1',
  '9007199254740993',
  '1e400',
  'null',
  encodeURIComponent("'; DROP TABLE events; --"),
  encodeURIComponent('{"a":1}'),
  'x'.repeat(300),
  encodeURIComponent('é'.repeat(2_000)),
];
const brokenParts = ['%', '%z', '%zz', '%ff', '%ed%a0%80', '%c3%28', '%f8%88%80%80%80'];

const hostilePart = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...hostileParts) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => encodeURIComponent(text)) },
);
/** Of any kind but what names another server, which would be asked. */
const anyJson = fc.jsonValue({ maxDepth: 3 });
const text = fc.oneof(
  fc.constantFrom('', ' ', '\0', '💥', 'null', '__proto__', '..', '$', '!', '@', '#', 'x'.repeat(5_000)),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

function wrongFor(type: FieldType): fc.Arbitrary<unknown> {
  const list = fc.constantFrom<unknown>([], [7], ['x'], [{}]);
  const object = fc.constantFrom<unknown>({}, { a: 1 });
  const text = fc.constantFrom<unknown>('', 'x', '7', 'true');
  const number = fc.constantFrom<unknown>(7, -1, 0.5);
  const truth = fc.boolean();
  switch (type.replace('!', '')) {
    case 'string':
      return fc.oneof(number, truth, list, object);
    case 'boolean':
      return fc.oneof(number, text, list, object);
    case 'integer':
      return fc.oneof(text, truth, list, object, fc.constant(0.5));
    case 'object':
      return fc.oneof(number, text, truth, list);
    case 'strings':
      return fc.oneof(number, text, truth, object, fc.constantFrom<unknown>([7], [{}], ['x', true]));
    case 'objects':
      return fc.oneof(number, text, truth, object, fc.constantFrom<unknown>([7], ['x'], [{}, 7]));
    default:
      return fc.oneof(number, text, truth);
  }
}

const notJson = fc.constantFrom<string | Uint8Array<ArrayBuffer>>(
  '{',
  '{"a":1,}',
  "{'a':1}",
  '{}{}',
  'a=1&b=2',
  '{"a":NaN}',
  '{"a":"\u0001"}',
  '\ufeff\ufeff{}',
  '<xml/>',
  new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
);
const noObject = fc.constantFrom(
  '"text"',
  '[]',
  '7',
  'null',
  'true',
  '{"a":"\\ud800"}',
  '{"a":1e400}',
  '{"a":9007199254740992}',
  `{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`,
);

/** With numbers that canonical JSON can write. */
function tame(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : 0;
  if (Array.isArray(value)) return value.map(tame);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, tame(inner)]));
}

const unknownFields = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((name) => `org.example.${name}`),
  anyJson.map(tame),
  { minKeys: 1, maxKeys: 3 },
);

const encodeQuery = (name: string, value: string): string => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;

type Faulty = Partial<BadRequest> & Pick<BadRequest, 'fault'>;

/** The faults that a request to this endpoint can have, each with how often it is tried. */
function faultsOf(endpoint: Endpoint): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  return [
    ...accessFaults(endpoint),
    ...(endpoint.ends === true ? [] : [...pathFaults(endpoint), ...queryFaults(endpoint), ...bodyFaults(endpoint)]),
    { weight: 2, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH').map(wrongMethod(endpoint)) },
  ];
}

const wrongMethod =
  (endpoint: Endpoint) =>
  (method: string): Faulty => {
    const known = methodsOfShape.get(shapeOf(endpoint))?.has(method) === true;
    // What the other method of the path does is not this endpoint's business, but it may do it.
    if (known) return { fault: 'the token', token: 'none', expected: 'anything' };
    return { fault: `the method ${method}`, method, expected: 'no such method' };
  };

function accessFaults({ by }: Endpoint): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  const fault = (token: Token, expected: Expected): Faulty => ({ fault: `the token: ${token}`, token, expected });
  if (by === 'user') {
    return [
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          fault('none', 'no token'),
          fault('unknown', 'bad token'),
          fault('signed out', 'bad token'),
          fault('expired', 'bad token'),
        ),
      },
    ];
  }
  if (by === 'anybody') return [];
  const headers = [
    null,
    'Bearer x',
    'X-Matrix',
    'X-Matrix origin=a',
    'X-Matrix origin="a",key="b",sig="c",destination="d"',
  ];
  return [
    {
      weight: 12,
      arbitrary: fc
        .constantFrom(...headers)
        .map((authorization): Faulty => ({ fault: 'no signature', authorization, expected: 'no signature' })),
    },
  ];
}

function pathFaults(endpoint: Endpoint): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  const names = partsOf(endpoint);
  if (names.length === 0 || endpoint.by === 'server') return [];
  const oneOf = (values: fc.Arbitrary<string>) => fc.tuple(fc.constantFrom(...names), values);
  return [
    {
      weight: 5,
      arbitrary: oneOf(hostilePart).map(
        ([name, value]): Faulty => ({ fault: `${name} in the path`, parts: { [name]: value } }),
      ),
    },
    {
      weight: 1,
      arbitrary: oneOf(fc.constantFrom(...brokenParts)).map(
        ([name, value]): Faulty => ({
          fault: `${name} badly encoded`,
          parts: { [name]: value },
          expected: 'malformed',
        }),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constant<Faulty>({ fault: 'the token: foreign', token: 'foreign' }),
    },
  ];
}

function queryFaults({ query, by }: Endpoint): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  const asks = (query: string, fault: string, expected: Expected = 'anything'): Faulty => ({ query, fault, expected });
  const expected: Expected = by === 'server' ? 'no signature' : 'malformed';
  const faults = [
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('?', '?a', '?=&=&&', '?__proto__=1', '?a=1&a=2', '?org.example.x=%F0%9F%92%A5')
        .map((query) => asks(query, 'an unknown query', by === 'server' ? 'no signature' : 'anything')),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('?%', '?a=%zz', '?%ff=1').map((query) => asks(query, 'a broken query', 'malformed')),
    },
  ];
  for (const [name, type] of Object.entries(query ?? {})) {
    const values = text.map((value) => asks(`?${encodeQuery(name, value)}`, `${name} in the query`));
    const twice = fc.constant(asks(`?${name}=a&${name}=b`, `${name} twice in the query`));
    const wrong = fc
      .constantFrom('x', '1.5', '', '0x10', '99999999999999999999', '{}')
      .map((value) => asks(`?${encodeQuery(name, value)}`, `${name} in the query`, expected));
    if (by !== 'server') faults.push({ weight: 1, arbitrary: values }, { weight: 1, arbitrary: twice });
    if (/^(integer|boolean)/.test(type)) faults.push({ weight: 1, arbitrary: wrong });
  }
  return faults;
}

function bodyFaults(endpoint: Endpoint): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  const { body, good = {}, by } = endpoint;
  if (body === undefined) {
    return [{ weight: 1, arbitrary: notJson.map((body): Faulty => ({ fault: 'a body where none is read', body })) }];
  }
  if (by === 'server') return [];
  const sends = (fields: unknown, fault: string, expected: Expected): Faulty => ({ body: { fields }, fault, expected });
  const faults: { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] = [
    {
      weight: 2,
      arbitrary: notJson.map((body): Faulty => ({ fault: 'a body that is no JSON', body, expected: 'not JSON' })),
    },
    {
      weight: 2,
      arbitrary: noObject.map(
        (body): Faulty => ({ fault: 'a body that is no good object', body, expected: 'malformed' }),
      ),
    },
    {
      weight: 2,
      arbitrary: unknownFields.map((unknown) => sends({ ...good, ...unknown }, 'unknown fields', 'well-formed')),
    },
  ];
  if (body === 'opaque') {
    const random = fc.dictionary(fc.string({ maxLength: 12 }), anyJson, { maxKeys: 4 });
    faults.push({ weight: 4, arbitrary: random.map((fields) => sends(fields, 'any object', 'anything')) });
    return faults;
  }
  return [...faults, ...fieldFaults(body, good)];
}

function fieldFaults(
  body: Fields,
  good: Readonly<Record<string, unknown>>,
): { weight: number; arbitrary: fc.Arbitrary<Faulty> }[] {
  return Object.entries(body).flatMap(([name, type]) => {
    const { [name]: _, ...others } = good;
    const withValue =
      (expected: Expected) =>
      (value: unknown): Faulty => ({
        fault: `${name} of the body`,
        body: { fields: { ...good, [name]: value } },
        expected,
      });
    const missing: Faulty = { fault: `${name} missing`, body: { fields: others }, expected: 'malformed' };
    return [
      { weight: 2, arbitrary: wrongFor(type).map(withValue('malformed')) },
      { weight: 1, arbitrary: fc.oneof(text, anyJson).map(withValue('anything')) },
      ...(type.endsWith('!') ? [{ weight: 1, arbitrary: fc.constant(missing) }] : []),
    ];
  });
}

/** Several faults at once, of which any may be told. */
function mixed(endpoint: Endpoint): fc.Arbitrary<Faulty> {
  const one = fc.oneof(...faultsOf(endpoint));
  return fc.tuple(one, one, one).map((faults): Faulty => {
    const fault = faults.map((each) => each.fault).join(' + ');
    const parts = Object.assign({}, ...faults.map((each) => each.parts ?? {}));
    return { ...faults[0], ...faults[1], ...faults[2], parts, fault, expected: 'anything' };
  });
}

const large: fc.Arbitrary<Faulty> = fc
  .tuple(fc.constantFrom('path', 'query', 'body'), fc.constantFrom(20_000, mebibyte, 2 * mebibyte))
  .map(([where, bytes]) => ({ fault: `${bytes} bytes more in the ${where}`, padding: { where, bytes } }));

function requestOf(endpoint: Endpoint, faulty: Faulty): BadRequest {
  return {
    endpoint,
    expected: 'anything',
    method: methodOf(endpoint),
    parts: {},
    query: endpoint.ends === true ? '' : requiredQuery(endpoint),
    token: endpoint.by === 'user' ? 'own' : 'none',
    authorization: null,
    body: endpoint.body === undefined ? undefined : { fields: endpoint.good ?? {} },
    padding: null,
    ...faulty,
  };
}

function requiredQuery({ query = {} }: Endpoint): string {
  const required = Object.entries(query).filter(([, type]) => type.endsWith('!'));
  return required.length === 0 ? '' : `?${required.map(([name]) => encodeQuery(name, 'x')).join('&')}`;
}

/** Requests that no client should send: mostly with one fault, so that its answer can be judged. */
export const badRequest: fc.Arbitrary<BadRequest> = fc.oneof(
  ...endpoints.map((endpoint) => {
    const faults = faultsOf(endpoint);
    const weight = faults.reduce((sum, fault) => sum + fault.weight, 0);
    const arbitrary = fc.oneof(
      { weight: 300, arbitrary: fc.oneof(...faults) },
      { weight: endpoint.ends === true ? 0 : 40, arbitrary: mixed(endpoint) },
      { weight: endpoint.ends === true ? 0 : 2, arbitrary: large },
    );
    return { weight, arbitrary: arbitrary.map((faulty) => requestOf(endpoint, faulty)) };
  }),
);
