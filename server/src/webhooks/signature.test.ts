import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { signatureHeaders } from './signature.ts'

const keyOf = (secret: Buffer): string => `whsec_${secret.toString('base64')}`

test('is what the specification’s own library makes', () => {
  // The example of https://www.standardwebhooks.com and of its libraries' tests.
  const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' }
  const headers = signatureHeaders(message, [secret], new Date(1_614_265_330_999))
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('verifies with each of the secrets, and with no other', () => {
  const [fresh, old, other] = [randomBytes(32), randomBytes(24), randomBytes(32)]
  const body = '{"title":"Ünïcödé · 映画"}'
  const headers = signatureHeaders({ id: 'msg_1', body }, [fresh, old], new Date())
  for (const secret of [fresh, old]) {
    expect(new Webhook(keyOf(secret)).verify(body, headers)).toEqual(JSON.parse(body))
  }
  expect(() => new Webhook(keyOf(other)).verify(body, headers)).toThrow(/signature/)
  expect(() => new Webhook(keyOf(fresh)).verify(`${body} `, headers)).toThrow(/signature/)
})
