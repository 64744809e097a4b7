import { randomBytes } from 'node:crypto'
import { loadSettings } from './lifecycle.ts'

const DAY = 86_400_000

/** `videoflix rotate-secret`: a new SECRET_KEY, and how to change over without signing anybody out. Changes nothing. */
export function rotateSecret(): void {
  const { settings } = loadSettings()
  const days = Math.ceil(settings.sessions.rememberTtlMs / DAY)
  const old =
    settings.secretKey === null ? 'the content of DATA_DIR/secret-key' : 'the present SECRET_KEY'
  process.stdout.write(
    `A new secret key:

  ${randomBytes(48).toString('base64')}

To change over without signing anybody out:

  1. Put ${old} in front of SECRET_KEY_FALLBACKS (comma-separated).
  2. Set SECRET_KEY to the new key.
  3. Restart every server and worker. From now on the new key signs; the old one still verifies.
  4. After ${days} days, when no session of before is left, remove the old key from
     SECRET_KEY_FALLBACKS and restart. One-time code secrets (TOTP) are sealed anew when their
     owner signs in: who has not by then needs a recovery code.

If the old key is known to somebody else, leave step 1 out: everybody is signed out, and must be.
`,
  )
}
