import { chromium, type BrowserContext } from 'playwright-core'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'

export interface Chromium extends AsyncDisposable {
  context: BrowserContext
  stop(): Promise<void>
}

const ARGUMENTS = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // /dev/shm is 64 MB in a container.
  '--disable-dev-shm-usage',
  '--autoplay-policy=no-user-gesture-required',
]

/** Starts the system's Chromium with a profile of its own. It ends with the test process. */
export async function startChromium(): Promise<Chromium> {
  const profile = await temporaryFolder()
  const context = await chromium.launchPersistentContext(profile.path, {
    executablePath: programPath('chromium'),
    args: ARGUMENTS,
  })
  const stop = async () => {
    await context.close()
    await profile.remove()
  }
  return { context, stop, [Symbol.asyncDispose]: stop }
}
