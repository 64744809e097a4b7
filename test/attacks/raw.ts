import { connect, type Socket } from 'node:net'

/** Bytes over a socket, as no client of HTTP would send them. */

export interface RawReply {
  /** Of every answer on the connection, in order; empty when it was closed without one. */
  statuses: number[]
  text: string
  /** Whether the server closed the connection within the time. */
  isClosed: boolean
}

export interface RawOptions {
  /** How long to listen. */
  withinMs?: number
  /** Stop listening after so many answers. */
  answers?: number
}

/** Sends the bytes at once and listens until the server closes, enough was answered, or the time is over. */
export function sendRaw(
  port: number,
  bytes: string | Buffer,
  { withinMs = 5000, answers = Infinity }: RawOptions = {},
): Promise<RawReply> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const finish = (isClosed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ statuses: statusesIn(text), text, isClosed })
    }
    const timer = setTimeout(() => finish(false), withinMs)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (statusesIn(text).length >= answers) finish(false)
    })
    // A connection that was reset has been refused, too.
    socket.on('error', () => {})
    socket.on('close', () => finish(true))
    socket.write(bytes)
  })
}

function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

/** The head of a request to 127.0.0.1, with its empty line. */
export function head(port: number, first: string, ...lines: string[]): string {
  return [`${first} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...lines, '', ''].join('\r\n')
}

/** A JSON request, whole. */
export function jsonRequest(port: number, path: string, body: string, ...lines: string[]): string {
  const about = ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
  return head(port, `POST ${path}`, ...about, ...lines) + body
}

/** Open sockets that are all closed in the end. */
export class Sockets implements Disposable {
  readonly all: Socket[] = []

  open(port: number): Socket {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    this.all.push(socket)
    return socket
  }

  get openCount(): number {
    return this.all.filter((socket) => !socket.closed).length
  }

  [Symbol.dispose](): void {
    for (const socket of this.all) socket.destroy()
  }
}
