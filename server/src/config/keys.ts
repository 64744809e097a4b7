import { hkdfSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newSecret } from '../ports/ids.ts'

/** What a key is for. A key of one purpose proves nothing for another. */
export type KeyPurpose =
  'access' | 'refresh' | 'media-url' | 'playlist-url' | 'totp' | 'openid' | 'counters'

export interface Keys {
  /** The key to make new signatures with, 32 bytes. */
  signing(purpose: KeyPurpose): Buffer
  /** Keys whose signatures are accepted, the signing one first. */
  verifying(purpose: KeyPurpose): Buffer[]
}

/** Derives each key from the secret by HKDF (RFC 5869), once. Fallback secrets verify and never sign. */
export function deriveKeys(secret: string, fallbacks: string[]): Keys {
  const derived = new Map<KeyPurpose, Buffer[]>()
  const verifying = (purpose: KeyPurpose): Buffer[] => {
    const known = derived.get(purpose)
    if (known) return known
    const keys = [secret, ...fallbacks].map((each) => derive(each, purpose))
    derived.set(purpose, keys)
    return keys
  }
  return {
    verifying,
    signing: (purpose) => verifying(purpose)[0] as Buffer,
  }
}

function derive(secret: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'videoflix', purpose, 32))
}

/** The secret of a trial without SECRET_KEY: made once and kept, so that sessions survive a restart. */
export async function keptSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret-key')
  await mkdir(dataDir, { recursive: true })
  await writeFile(path, newSecret(), { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
  return (await readFile(path, 'utf8')).trim()
}
