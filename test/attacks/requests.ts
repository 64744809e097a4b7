import fc from 'fast-check'
import { filmForm, tusUpload } from './film-requests.ts'
import { anything, ODD_NUMBERS, spoil, text } from './odd-values.ts'

/** Requests that nobody should send, made from the description of the API. */

interface Schema {
  type?: string | string[]
  enum?: unknown[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  items?: Schema
}
interface Parameter {
  name: string
  in: string
  schema?: Schema
}
interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
export interface OpenApi {
  paths: Record<string, Record<string, Operation>>
}

export interface FuzzRequest {
  who: 'anonymous' | 'viewer' | 'superuser'
  method: string
  path: string
  headers: Record<string, string>
  body: Buffer | null
}

/** Mostly of the right type, so that requests get past the first look. */
function valueOf(schema: Schema = {}): fc.Arbitrary<unknown> {
  const types = [schema.type].flat()
  const right: fc.Arbitrary<unknown>[] = []
  if (schema.enum) right.push(fc.constantFrom(...schema.enum))
  if (types.includes('string')) right.push(text)
  if (types.includes('boolean')) right.push(fc.boolean())
  if (types.includes('integer') || types.includes('number')) {
    right.push(fc.nat(5), fc.integer(), fc.constantFrom(...ODD_NUMBERS))
  }
  if (schema.properties) right.push(objectOf(schema.properties))
  if (right.length === 0) return anything
  return fc.oneof({ weight: 4, arbitrary: fc.oneof(...right) }, { weight: 1, arbitrary: anything })
}

function objectOf(properties: Record<string, Schema>): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [
      name,
      fc.option(valueOf(schema), { nil: undefined, freq: 6 }),
    ]),
  )
  const extra = fc.oneof(
    { weight: 5, arbitrary: fc.constant({}) },
    fc.dictionary(fc.constantFrom('is_superuser', 'id', 'constructor', 'x'), anything, {
      maxKeys: 3,
    }),
  )
  return fc.tuple(fc.record(fields), extra).map(([known, more]) => ({ ...more, ...known }))
}

const CONTENT_TYPES = [
  'application/json; charset=utf-16',
  'application/json;',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'application/offset+octet-stream',
  'nonsense',
  ';',
]

const header = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Record<string, string>>({}) },
  fc
    .tuple(
      fc.constantFrom(
        'accept',
        'accept-encoding',
        'authorization',
        'if-none-match',
        'if-range',
        'last-event-id',
        'origin',
        'range',
        'sec-fetch-site',
        'tus-resumable',
        'upload-length',
        'upload-metadata',
        'upload-offset',
        'upload-defer-length',
        'user-agent',
        'x-forwarded-for',
        'x-http-method-override',
      ),
      fc.oneof(
        text.map((each) => each.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 2000)),
        fc.constantFrom('1.0.0', '5', '-1', 'bytes=0-', 'text/html', 'filename YQ==', 'Bearer x'),
      ),
    )
    .map(([name, value]) => ({ [name]: value })),
)

function pathOf(template: string, parameters: Parameter[]): fc.Arbitrary<string> {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => String(name))
  const segment = fc.oneof(
    { weight: 3, arbitrary: fc.nat(6).map(String) },
    text.map((each) => encodeURIComponent(each.toWellFormed()).slice(0, 400)),
    fc.constantFrom('%', '%zz', '%c0%af', '.', '..', '%2e%2e', ';', 'a'.repeat(600)),
  )
  const inQuery = parameters.filter((each) => each.in === 'query')
  const query = fc.record(
    Object.fromEntries(
      inQuery.map(({ name, schema }) => [
        name,
        fc.option(valueOf(schema), { nil: undefined, freq: 3 }),
      ]),
    ),
  )
  return fc.tuple(fc.tuple(...names.map(() => segment)), query).map(([segments, values]) => {
    const path = names.reduce(
      (all, name, at) => all.replace(`{${name}}`, () => segments[at] ?? ''),
      template,
    )
    const pairs = Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => {
        const shown = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
        return `${encodeURIComponent(name)}=${encodeURIComponent(shown.toWellFormed())}`
      })
    return pairs.length > 0 ? `${path}?${pairs.join('&')}` : path
  })
}

function requestTo(method: string, path: string, operation: Operation): fc.Arbitrary<FuzzRequest> {
  const schema = operation.requestBody?.content['application/json']?.schema
  const body = schema
    ? fc
        .oneof({ weight: 6, arbitrary: valueOf(schema) }, { weight: 1, arbitrary: anything })
        // A lone surrogate is an escape in JSON: it arrives.
        .chain((value) => spoil(Buffer.from(JSON.stringify(value) ?? 'null')))
    : fc.oneof(
        { weight: 4, arbitrary: fc.constant(null) },
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      )
  const type = fc.oneof(
    { weight: 10, arbitrary: fc.constant('application/json') },
    fc.constantFrom(...CONTENT_TYPES),
  )
  return fc.record({
    who: fc.oneof(
      fc.constant('anonymous' as const),
      { weight: 2, arbitrary: fc.constant('viewer' as const) },
      { weight: 5, arbitrary: fc.constant('superuser' as const) },
    ),
    method: fc.oneof(
      { weight: 15, arbitrary: fc.constant(method.toUpperCase()) },
      fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'),
    ),
    path: pathOf(path, operation.parameters ?? []),
    headers: fc.tuple(type, header).map(([contentType, more]) => ({
      'content-type': contentType,
      ...more,
    })),
    body,
  })
}

/** What the description does not list, or only by a form. */
const ALSO: [string, string][] = [
  ['get', '/media/{path}'],
  ['get', '/media/videos/{id}/{file}?expires=1&signature=x'],
  ['get', '/assets/{file}'],
  ['get', '/docs/assets/{file}'],
  ['get', '/'],
  ['get', '/admin/'],
  ['get', '/dev/mail/'],
  ['get', '/admin/queues/api/queues?activeQueue=quick&status={status}&page={page}&jobsPerPage={n}'],
  ['get', '/admin/queues/api/queues?activeQueue=quick&status=failed&page={page}'],
  ['get', '/admin/queues/api/queues/quick/{id}'],
  ['get', '/{nothing}/'],
  ['post', '/{nothing}'],
]

/** Every route of the description alike, and those that take films more often. */
export function fuzzRequests(description: OpenApi): fc.Arbitrary<FuzzRequest> {
  const described = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => requestTo(method, path, operation)),
  )
  return fc.oneof(
    ...[...described, ...ALSO.map(([method, path]) => requestTo(method, path, {}))],
    ...[filmForm, tusUpload].map((arbitrary) => ({ weight: 3, arbitrary })),
  )
}
