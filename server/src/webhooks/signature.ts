import { createHmac } from 'node:crypto'

/**
 * The headers that name and sign a message, as Standard Webhooks 1.0 has them. `id` has no dot in it. The time is that
 * of the attempt, so that a receiver can refuse what somebody kept and sends again.
 */
export function signatureHeaders(
  message: { id: string; body: string },
  secrets: Buffer[],
  now: Date,
): Record<string, string> {
  const { id, body } = message
  const timestamp = String(Math.floor(now.getTime() / 1000))
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`)
    return `v1,${mac.digest('base64')}`
  })
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  }
}
