import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { readMessage, type Message } from './protobuf.ts'

export interface CollectedSpan {
  name: string
  traceId: string
  spanId: string
  /** Empty without one. */
  parentId: string
  durationMs: number
  isError: boolean
  attributes: Record<string, string | number>
  /** Of the program that sent it. */
  resource: Record<string, string | number>
}

/** A collector of traces: OTLP over HTTP, in protobuf. */
export interface Collector extends AsyncDisposable {
  url: string
  spans: CollectedSpan[]
  /** All that arrived, as text: to look for what must not be in it. */
  bytes(): string
  /** The header `x-team` of the last delivery. */
  team(): string | undefined
}

const PROTOBUF = 'application/x-protobuf'

export async function startCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const bodies: Buffer[] = []
  let team: string | undefined
  async function take(request: IncomingMessage): Promise<boolean> {
    const { url, headers } = request
    const whole = Buffer.concat((await request.toArray()) as Buffer[])
    const body = headers['content-encoding'] === 'gzip' ? gunzipSync(whole) : whole
    bodies.push(body)
    team = headers['x-team'] as string | undefined
    const isTraces = url === '/v1/traces' && headers['content-type'] === PROTOBUF
    if (isTraces) spans.push(...spansOf(body))
    return isTraces
  }
  const server = createServer((request, reply) => {
    const answer = (status: number) => reply.writeHead(status, { 'content-type': PROTOBUF }).end()
    take(request).then(
      (isTaken) => answer(isTaken ? 200 : 404),
      () => answer(400),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    bytes: () => Buffer.concat(bodies).toString('latin1'),
    team: () => team,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** opentelemetry/proto/trace/v1/trace.proto: ResourceSpans, ScopeSpans, Span. */
function spansOf(body: Buffer): CollectedSpan[] {
  return readMessage(body)
    .messages(1)
    .flatMap((ofResource) => {
      const resource = attributesOf(ofResource.messages(1)[0])
      const spans = ofResource.messages(2).flatMap((ofScope) => ofScope.messages(2))
      return spans.map((span) => ({ ...spanOf(span), resource }))
    })
}

function spanOf(span: Message): Omit<CollectedSpan, 'resource'> {
  const ERROR = 2
  return {
    name: span.text(5),
    traceId: span.hex(1),
    spanId: span.hex(2),
    parentId: span.hex(4),
    durationMs: (span.number(8) - span.number(7)) / 1e6,
    isError: span.messages(15)[0]?.number(3) === ERROR,
    attributes: attributesOf(span),
  }
}

/** common.proto: KeyValue is field 1 of a resource and field 9 of a span. */
function attributesOf(message: Message | undefined): Record<string, string | number> {
  const pairs = [...(message?.messages(message.has(9) ? 9 : 1) ?? [])]
  return Object.fromEntries(
    pairs.map((pair) => {
      const value = pair.messages(2)[0]
      return [pair.text(1), value?.has(1) ? value.text(1) : (value?.number(3) ?? 0)]
    }),
  )
}
