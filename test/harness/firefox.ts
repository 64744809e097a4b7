import { launch, type Browser } from 'puppeteer-core'
import { guardAgainstLeaving } from './guard.ts'
import { programPath } from './programs.ts'
import { temporaryFolder } from './temporary-folder.ts'

export interface Firefox extends AsyncDisposable {
  browser: Browser
  stop(): Promise<void>
}

/** Starts the system's Firefox, driven by WebDriver BiDi, with a profile of its own. It ends with the test process. */
export async function startFirefox(): Promise<Firefox> {
  const profile = await temporaryFolder()
  const browser = await launch({
    browser: 'firefox',
    executablePath: programPath('firefox'),
    headless: true,
    userDataDir: profile.path,
    extraPrefsFirefox: { 'media.autoplay.default': 0 },
  })
  const pid = browser.process()?.pid
  const forget = pid ? guardAgainstLeaving({ kind: 'process', pid, signal: 'SIGKILL' }) : () => {}
  const stop = async () => {
    await browser.close()
    forget()
    await profile.remove()
  }
  return { browser, stop, [Symbol.asyncDispose]: stop }
}
