import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

/** Loaded before a program: writes down each module that it loads. */
registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(process.env.MODULE_LOG, `${url}\n`)
    return nextLoad(url, context)
  },
})
