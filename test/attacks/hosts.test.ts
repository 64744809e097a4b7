import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type ServerProcess } from '../harness/process.ts'
import { startSmtp, type Smtp } from '../harness/smtp.ts'
import { head, jsonRequest, sendRaw } from './raw.ts'
import { ADMIN, OPEN_ENV, signIn } from './servers.ts'

const BACKEND = 'https://api.films.example.com'
const RESET_PAGE = 'https://films.example.com/reset'
const FRONTEND = 'https://films.example.com/login'
const EVIL = 'evil.example'

let smtp: Smtp
let server: ServerProcess
beforeAll(async () => {
  smtp = await startSmtp()
  server = await startServer({
    env: {
      ...OPEN_ENV,
      DEBUG: 'False',
      TRANSCODE_LOCALLY: 'True',
      SECRET_KEY: 'Zk3vQ8mW1xT6yB9nC4jH7gD2fS5aP0rL',
      BACKEND_ORIGIN: BACKEND,
      // The worst that an operator may write here.
      ALLOWED_HOSTS: '*',
      FRONTEND_URL: FRONTEND,
      RESET_PASSWORD_URL: RESET_PAGE,
      TRUSTED_PROXIES: '127.0.0.1',
      EMAIL_HOST: '127.0.0.1',
      EMAIL_PORT: String(smtp.port),
    },
  })
})
afterAll(async () => {
  await server.stop()
  await smtp.stop()
})

const host = (value: string) => (request: string) =>
  request.replace(/^Host: .*$/m, `Host: ${value}`)
const line = (text: string) => (request: string) => request.replace('\r\n', `\r\n${text}\r\n`)
const target = (origin: string) => (request: string) => request.replace(/^(\w+) /, `$1 ${origin}`)

const POISON: [string, (request: string) => string][] = [
  ['a foreign Host', host(EVIL)],
  ['a foreign Host with a port', host(`${EVIL}:443`)],
  ['our Host and a foreign port', host('api.films.example.com:31337')],
  ['markup in the port', host('api.films.example.com:"><b>')],
  ['a login in the Host', host(`api.films.example.com@${EVIL}`)],
  ['a path in the Host', host(`${EVIL}/api.films.example.com`)],
  ['a second Host', line(`Host: ${EVIL}`)],
  ['X-Forwarded-Host', line(`X-Forwarded-Host: ${EVIL}`)],
  ['X-Host', line(`X-Host: ${EVIL}`)],
  ['X-Forwarded-Server', line(`X-Forwarded-Server: ${EVIL}`)],
  ['X-HTTP-Host-Override', line(`X-HTTP-Host-Override: ${EVIL}`)],
  ['X-Original-Host', line(`X-Original-Host: ${EVIL}`)],
  ['X-Original-URL', line(`X-Original-URL: http://${EVIL}/`)],
  ['X-Forwarded-Proto and -Port', line('X-Forwarded-Proto: javascript\r\nX-Forwarded-Port: 1')],
  ['X-Forwarded-Prefix', line(`X-Forwarded-Prefix: //${EVIL}`)],
  ['Forwarded', line(`Forwarded: for=192.0.2.1;host=${EVIL};proto=http`)],
  ['Referer and Origin', line(`Referer: http://${EVIL}/`)],
  ['an absolute target', target(`http://${EVIL}`)],
  ['an absolute target with a login', target(`http://api.films.example.com@${EVIL}`)],
]

test.each(POISON)('%s is in no mail and no redirect', async (_what, poison) => {
  const mailsBefore = smtp.mails.length
  const email = `somebody${mailsBefore}@example.com`
  const password = 'two horses and a stapler'
  const register = JSON.stringify({ email, password, confirm_password: password })
  const replies: string[] = []
  for (const request of [
    jsonRequest(server.port, '/users/register/', register),
    jsonRequest(server.port, '/users/forgot-password/', JSON.stringify({ email: ADMIN.email })),
    head(server.port, 'GET /content?next=1'),
    head(server.port, 'GET /django-rq/'),
    head(server.port, `GET //${EVIL}/content`),
    head(server.port, `GET /\\${EVIL}/..//content`),
    head(server.port, 'GET /users/confirm/?uid=1&token=x', 'Accept: text/html'),
    head(server.port, 'GET /'),
  ]) {
    const { text } = await sendRaw(server.port, poison(request), { answers: 1, withinMs: 3000 })
    replies.push(text.replaceAll(/"detail":"[^}]*}/g, ''))
  }
  for (const text of replies) {
    expect(text).not.toContain(EVIL)
    expect(text).not.toContain('31337')
    for (const [, location = ''] of text.matchAll(/^location: (.*)$/gim)) {
      expect(location).toMatch(/^(\/[^/\\]|https:\/\/films\.example\.com\/)/)
    }
  }
  const isRefused = replies[1]?.startsWith('HTTP/1.1 400') ?? false
  // The premise: a mail does come, unless the request was refused as a whole.
  const mail = isRefused ? null : await smtp.waitForMail(ADMIN.email)
  const raw = mail ? `${mail.html || ''}\n${mail.text ?? ''}\n${mail.subject ?? ''}` : ''
  const links = [...raw.matchAll(/https?:\/\/[^\s"<]+/g)].map(([link]) => link)
  expect(links.length > 0).toBe(!isRefused)
  expect(links.filter((link) => !link.startsWith(`${RESET_PAGE}?uid=`))).toEqual([])
  expect(raw).not.toContain(EVIL)
})

test('URLs in replies are made from the settings', async () => {
  const superuser = await signIn(server.url, ADMIN)
  const cookie = [...superuser.cookies].map((pair) => pair.join('=')).join('; ')
  for (const path of ['/admin/api/users/?page_size=1', '/admin/api/audit/?page_size=1']) {
    const request = host(EVIL)(head(server.port, `GET ${path}`, `Cookie: ${cookie}`))
    const forwarded = line(`X-Forwarded-Host: ${EVIL}`)(request)
    const { text, statuses } = await sendRaw(server.port, forwarded, { answers: 1 })
    expect(statuses).toEqual([200])
    expect(text).not.toContain(EVIL)
    expect(text).toContain(`"next":"${BACKEND}${path.split('?')[0]}?`)
  }
})

test('a confirmation leads to the front page of the settings', async () => {
  const mail = await smtp.waitForMail('somebody0@example.com')
  const [, link = ''] = /<a href="([^"]+)"/.exec(mail.html || '') ?? []
  const { origin, pathname, search } = new URL(link.replaceAll('&amp;', '&'))
  expect(origin).toBe(BACKEND)
  const request = host(EVIL)(head(server.port, `GET ${pathname}${search}`))
  const { text } = await sendRaw(server.port, request, { answers: 1 })
  expect(text).toMatch(/^HTTP\/1.1 302/)
  expect(/^location: (.*)$/im.exec(text)?.[1]?.trim()).toBe(FRONTEND)
})
