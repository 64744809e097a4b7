import { EventEmitter } from 'node:events'
import type { Doorbell } from './doorbell.ts'

/** Reaches the listeners of this process only; everybody else finds out at their next regular look. */
export function inProcessDoorbell(): Doorbell {
  const emitter = new EventEmitter()
  return {
    ring: (bell) => void setImmediate(() => emitter.emit(bell)),
    onRing(bell, listener) {
      emitter.on(bell, listener)
      return () => void emitter.off(bell, listener)
    },
    close: () => {
      emitter.removeAllListeners()
      return Promise.resolve()
    },
  }
}
