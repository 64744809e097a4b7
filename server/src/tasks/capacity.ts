/** What a worker may use: of the machine, or of the container if that has less. */
export interface Machine {
  cores: number
  memoryBytes: number
}

export interface Capacity {
  /** Parts of films that are encoded at once. */
  encodings: number
  /** Of each encoder. */
  threads: number
  /** Why, for the log. */
  because: string
}

const GIB = 1024 ** 3

/**
 * A run of ffmpeg has an encoder for each of its qualities, so a few threads each keep more cores busy than that. Beyond
 * four, another part of a film gains more from a core than a further thread does.
 */
const CORES_EACH = 4
/** The largest run that was measured took 0.65 GiB; more threads hold more pictures. */
const MEMORY_EACH = GIB
/** For ourselves, for what is packaged meanwhile, and for the cache of the disk. */
const MEMORY_OF_THE_REST = GIB / 2

/** `told` is JOB_CONCURRENCY. */
export function capacityOf({ cores, memoryBytes }: Machine, told: number | null): Capacity {
  const byCores = Math.max(1, Math.floor(cores / CORES_EACH))
  const byMemory = Math.max(1, Math.floor((memoryBytes - MEMORY_OF_THE_REST) / MEMORY_EACH))
  const encodings = told ?? Math.min(byCores, byMemory)
  const facts = `${cores} cores are enough for ${byCores}, ${gib(memoryBytes)} of memory for ${byMemory}`
  return {
    encodings,
    threads: Math.max(1, Math.ceil(cores / encodings)),
    because: told === null ? facts : `JOB_CONCURRENCY; ${facts}`,
  }
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`
}
