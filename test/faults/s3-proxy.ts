import { once } from 'node:events'
import {
  createServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** What may go wrong between a client and S3. */
export type Fault =
  /** The connection is reset before the request reaches S3. */
  | { kind: 'reset' }
  /** S3 did it, and the connection is reset before its answer arrives. */
  | { kind: 'lost answer' }
  /** Everything goes well, later. */
  | { kind: 'delay'; ms: number }
  /** `503 SlowDown`, as S3 says it. */
  | { kind: 'slow down' }
  /** `500 InternalError`. */
  | { kind: 'internal error' }
  /** `Content-Length` says more than is sent before the connection ends. */
  | { kind: 'cut answer'; share: number }
  /** Part of the request reaches S3, then both connections end. */
  | { kind: 'cut request'; share: number }
  /** `200` with an error as its body, as S3 may answer what takes long; S3 has done nothing. */
  | { kind: 'error in 200' }
  /** As above, but S3 has done it. */
  | { kind: 'error in 200 though done' }
  /** `404 NoSuchUpload`: S3 has forgotten the upload, as it may once it is complete. */
  | { kind: 'forgotten upload' }
  /** Accepted, and never answered. */
  | { kind: 'silence' }

export const OPERATIONS = [
  ...(['PutObject', 'GetObject', 'HeadObject', 'DeleteObject', 'ListObjects'] as const),
  ...(['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'] as const),
  ...(['AbortMultipartUpload', 'ListParts', 'ListMultipartUploads', 'other'] as const),
]
export type Operation = (typeof OPERATIONS)[number]

export interface S3Request {
  operation: Operation
  method: string
  /** With the query. */
  path: string
  headers: IncomingHttpHeaders
}

/** Which fault a request meets, or none. */
export type Rule = (request: S3Request) => Fault | null

export const noFault: Rule = () => null

export interface S3Proxy extends AsyncDisposable {
  /** In place of the endpoint of S3. */
  endpoint: string
  /** For requests from now on. */
  rule: Rule
  /** In the order of their arrival, with what they met. */
  requests: (S3Request & { fault: Fault['kind'] | null })[]
  stop(): Promise<void>
}

/**
 * Stands between clients and S3 and lets things go wrong as the rule says. The Host stays what the client has signed,
 * which a gateway accepts as long as buckets are named by path.
 */
export async function startS3Proxy(endpoint: string): Promise<S3Proxy> {
  const upstream = new URL(endpoint)
  const server = createServer((request, reply) => {
    // Connections end in the middle on purpose.
    for (const stream of [request, reply]) stream.on('error', () => {})
    const seen = describe(request)
    const fault = proxy.rule(seen)
    proxy.requests.push({ ...seen, fault: fault?.kind ?? null })
    void answer({ request, reply, upstream }, fault)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  const proxy: S3Proxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    rule: noFault,
    requests: [],
    stop,
    [Symbol.asyncDispose]: stop,
  }
  return proxy
}

interface Exchange {
  request: IncomingMessage
  reply: ServerResponse
  upstream: URL
}

async function answer(exchange: Exchange, fault: Fault | null): Promise<void> {
  const { request, reply } = exchange
  switch (fault?.kind) {
    case 'reset':
      request.socket.resetAndDestroy()
      return
    case 'silence':
      request.resume()
      return
    case 'slow down':
      return await refuse(exchange, 503, 'SlowDown', 'Please reduce your request rate.')
    case 'internal error':
      return await refuse(exchange, 500, 'InternalError', 'We encountered an internal error.')
    case 'forgotten upload':
      return await refuse(exchange, 404, 'NoSuchUpload', 'The upload does not exist.')
    case 'error in 200':
      return await refuse(exchange, 200, 'InternalError', 'We encountered an internal error.')
    case 'error in 200 though done':
      await pass(exchange, { isAnswered: false })
      reply.writeHead(200, { 'content-type': 'application/xml' })
      reply.end(errorXml('InternalError', 'We encountered an internal error.'))
      return
    case 'lost answer':
      await pass(exchange, { isAnswered: false })
      request.socket.resetAndDestroy()
      return
    case 'cut request':
      return await cutRequest(exchange, fault.share)
    case 'cut answer':
      return await pass(exchange, { share: fault.share })
    case 'delay':
      // A client that has gone meanwhile has its request done nevertheless, as in real life.
      await pause(fault.ms)
      return await pass(exchange, {})
    default:
      return await pass(exchange, {})
  }
}

/** Reads the request to its end first, as most clients want it to be. */
async function refuse(
  { request, reply }: Exchange,
  status: number,
  code: string,
  message: string,
): Promise<void> {
  await bytesOf(request)
  reply.writeHead(status, { 'content-type': 'application/xml' }).end(errorXml(code, message))
}

function errorXml(code: string, message: string): string {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
  return `${head}<Error><Code>${code}</Code><Message>${message}</Message><RequestId>proxy</RequestId></Error>`
}

/** Resolves when S3 has answered and, if the client is to know, the client has it. */
async function pass(
  { request, reply, upstream }: Exchange,
  { isAnswered = true, share }: { isAnswered?: boolean; share?: number },
): Promise<void> {
  const passed = send({ ...addressOf(upstream, request), agent: false })
  passed.on('error', () => reply.destroy())
  request.on('aborted', () => passed.destroy())
  request.pipe(passed)
  const [response] = (await once(passed, 'response').catch(() => [])) as [IncomingMessage?]
  if (!response) return
  response.on('error', () => reply.destroy())
  if (!isAnswered) {
    await bytesOf(response)
    return
  }
  reply.writeHead(response.statusCode ?? 502, response.headers)
  reply.on('close', () => response.destroy())
  if (share === undefined) {
    response.pipe(reply)
    return
  }
  await cutAnswer(response, reply, share)
}

async function cutAnswer(
  response: IncomingMessage,
  reply: ServerResponse,
  share: number,
): Promise<void> {
  const body = await bytesOf(response)
  // One byte less at least: else nothing would be missing.
  const sent = Math.min(Math.floor(body.length * share), Math.max(0, body.length - 1))
  reply.flushHeaders()
  reply.write(body.subarray(0, sent), () => reply.socket?.end())
}

async function cutRequest({ request, upstream }: Exchange, share: number): Promise<void> {
  const { socket } = request
  const body = await bytesOf(request)
  const passed = send({ ...addressOf(upstream, request), agent: false })
  passed.on('error', () => {})
  const written = new Promise<void>((resolve) => {
    passed.flushHeaders()
    passed.write(body.subarray(0, Math.floor(body.length * share)), () => resolve())
  })
  await Promise.race([written, once(passed, 'close')])
  passed.destroy()
  socket.resetAndDestroy()
}

function addressOf(
  { hostname, port }: URL,
  { method = 'GET', url = '/', headers }: IncomingMessage,
) {
  return { hostname, port, method, path: url, headers }
}

/** Whatever arrives; nothing throws. */
async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer)
  } catch {
    // Whoever hangs up has said all.
  }
  return Buffer.concat(chunks)
}

function describe({ method = 'GET', url: path = '/', headers }: IncomingMessage): S3Request {
  const { pathname, searchParams } = new URL(path, 'http://s3')
  const isObject = pathname.split('/').filter((each) => each !== '').length > 1
  return { operation: operationOf(method, isObject, searchParams), method, path, headers }
}

function operationOf(method: string, isObject: boolean, query: URLSearchParams): Operation {
  if (!isObject) {
    if (query.has('uploads')) return 'ListMultipartUploads'
    return query.get('list-type') === '2' ? 'ListObjects' : 'other'
  }
  const isOfUpload = query.has('uploadId')
  switch (method) {
    case 'PUT':
      return isOfUpload ? 'UploadPart' : 'PutObject'
    case 'POST':
      return isOfUpload ? 'CompleteMultipartUpload' : 'CreateMultipartUpload'
    case 'DELETE':
      return isOfUpload ? 'AbortMultipartUpload' : 'DeleteObject'
    case 'HEAD':
      return 'HeadObject'
    case 'GET':
      return isOfUpload ? 'ListParts' : 'GetObject'
    default:
      return 'other'
  }
}

/** Whether a request says who may read an object, in whatever way there is. */
export function hasAcl({ path, headers }: S3Request): boolean {
  const asked = new URL(path, 'http://s3').searchParams
  return [...Object.keys(headers), ...asked.keys()].some((name) =>
    /^(acl|x-amz-acl|x-amz-grant-.*)$/i.test(name),
  )
}

/** The first so many requests of these operations meet the fault. */
export function atFirst(fault: Fault, operations: readonly Operation[], times = 1): Rule {
  let met = 0
  return ({ operation }) => {
    if (!operations.includes(operation) || met >= times) return null
    met += 1
    return fault
  }
}

export function always(fault: Fault, operations: readonly Operation[] = OPERATIONS): Rule {
  return ({ operation }) => (operations.includes(operation) ? fault : null)
}

/** A share of all requests meets a fault that suits it. */
export function atRandom(random: () => number, share: number): Rule {
  return ({ operation, method }) => {
    if (random() >= share) return null
    const faults: Fault[] = [
      { kind: 'reset' },
      { kind: 'lost answer' },
      { kind: 'delay', ms: random() * 3000 },
      { kind: 'slow down' },
      { kind: 'internal error' },
    ]
    if (method === 'PUT') faults.push({ kind: 'cut request', share: random() })
    if (method === 'GET') faults.push({ kind: 'cut answer', share: random() })
    if (operation === 'CompleteMultipartUpload') {
      faults.push({ kind: 'error in 200' }, { kind: 'error in 200 though done' })
    }
    return faults[Math.floor(random() * faults.length)] ?? null
  }
}
