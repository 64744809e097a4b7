/** A small browser without pages: keeps cookies, sends JSON. Never follows redirects. */
export class Client {
  readonly origin: string
  readonly cookies = new Map<string, string>()
  /** Sent with every request. */
  headers: Record<string, string> = {}

  constructor(origin: string) {
    this.origin = origin
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return this.request(path, init)
  }

  /** `body` is sent as JSON; without one the request has no body. */
  post(path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
    return this.request(path, { ...init, method: 'POST', ...jsonBody(body, init) })
  }

  patch(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return this.request(path, { ...init, method: 'PATCH', ...jsonBody(body, init) })
  }

  delete(path: string, init: RequestInit = {}): Promise<Response> {
    return this.request(path, { ...init, method: 'DELETE' })
  }

  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({ ...this.headers, ...(init.headers as Record<string, string>) })
    if (this.cookies.size > 0 && !headers.has('cookie')) {
      headers.set('cookie', [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    }
    const url = path.startsWith('http') ? path : `${this.origin}${path}`
    const reply = await fetch(url, { redirect: 'manual', ...init, headers })
    for (const line of reply.headers.getSetCookie()) this.#keep(line)
    return reply
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(';')
    const at = pair.indexOf('=')
    const name = pair.slice(0, at).trim()
    const isCleared = attributes.some((each) =>
      /^\s*(max-age=0|expires=thu, 01 jan 1970)/i.test(each),
    )
    if (isCleared) this.cookies.delete(name)
    else this.cookies.set(name, pair.slice(at + 1))
  }
}

function jsonBody(body: unknown, init: RequestInit): RequestInit {
  if (body === undefined) return {}
  return {
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(init.headers as Record<string, string>) },
  }
}
