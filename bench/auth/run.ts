import autocannon from 'autocannon'
import { Client } from '../../test/harness/client.ts'
import { startServer } from '../../test/harness/process.ts'

/**
 * Sessions under load: refreshes and session checks per second, and how a flood of logins, each worth 20 ms of
 * hashing, bears on everybody else: the p99 of `GET /content/` at a fixed rate, quiet and flooded, in pairs.
 */

const SECONDS = 5
const ROUNDS = 3
/** Requests per second of the people who are just browsing. */
const BROWSING_RATE = 200
/** Logins per second of the flood: some thirty times what can be hashed. */
const FLOOD_RATE = 1000
const ADMIN = { email: 'bench@example.com', password: 'bench-password-1' }

await using server = await startServer({
  env: {
    DJANGO_SUPERUSER_EMAIL: ADMIN.email,
    DJANGO_SUPERUSER_PASSWORD: ADMIN.password,
    RATE_LIMIT_LOGIN: '10000000/min',
    RATE_LIMIT_LOGIN_ACCOUNT: '10000000/min',
    LOG_LEVEL: 'silent',
  },
})
const client = new Client(server.url)
await client.post('/users/login/', ADMIN)
const cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')

const checks = await autocannon({
  url: `${server.url}/content/`,
  connections: 10,
  duration: SECONDS,
  headers: { cookie },
})
console.log(`session checks per second: ${Math.round(checks.requests.average)}`)
console.log(`refreshes per second, one after the other: ${Math.round(await refreshesPerSecond())}`)

await Promise.all([browse(), floodOfLogins()]) // warms both paths up
const rows = []
for (let round = 0; round < ROUNDS; round += 1) {
  const quiet = await browse()
  const [flooded, flood] = await Promise.all([browse(), floodOfLogins()])
  rows.push({
    'p99 quiet, ms': quiet.latency.p99,
    'p99 flooded, ms': flooded.latency.p99,
    ratio: Number((flooded.latency.p99 / Math.max(1, quiet.latency.p99)).toFixed(2)),
    'logins answered 400': flood['4xx'],
    'sent away with 503': flood['5xx'],
    'browsing errors': flooded.errors + flooded.non2xx,
  })
}
console.table(rows)
console.log('target: a ratio of at most 3')

async function refreshesPerSecond(): Promise<number> {
  const end = Date.now() + SECONDS * 1000
  let count = 0
  while (Date.now() < end) {
    const reply = await client.post('/users/refresh/')
    if (reply.status !== 200) throw new Error(`refresh: ${reply.status}`)
    await reply.arrayBuffer()
    count += 1
  }
  return count / SECONDS
}

async function browse(): Promise<autocannon.Result> {
  const cookies = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  return await autocannon({
    url: `${server.url}/content/`,
    connections: 10,
    overallRate: BROWSING_RATE,
    duration: SECONDS,
    headers: { cookie: cookies },
  })
}

async function floodOfLogins(): Promise<autocannon.Result> {
  return await autocannon({
    url: `${server.url}/users/login/`,
    method: 'POST',
    connections: 200,
    overallRate: FLOOD_RATE,
    duration: SECONDS,
    // A thread of its own: else we would measure how the loader gets in its own way.
    workers: 1,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: ADMIN.email, password: 'wrong' }),
  })
}
