import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import { Problem } from '../problems/problem.ts'
import type { Grant, IssuedGrant, Subject } from './grant.ts'
import { CipherError } from './vault/cipher.ts'
import type { GrantStore } from './vault/vault.ts'

const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** What a save came to: the grant in force, and when nothing of it is in memory alone any more. */
export interface SaveResult {
  grant: Grant | undefined
  saved: Promise<void>
}

interface Held {
  grant: Grant
  /** Of an install: later ones have higher numbers. */
  install: number | undefined
  /** Resolves with what the store holds then. Safe to repeat: a first try may have been carried out unseen. */
  write: (isRepeated: boolean) => Promise<Grant | undefined>
}

const untouched = {
  failures: 0,
  triedAt: null,
  intentAt: null,
  priorIntentAt: null,
  leaseOwner: null,
  leaseUntil: null,
  uninstallReportedAt: null
} as const

const connected = (fruit: IssuedGrant, generation: number): Grant => ({
  ...fruit,
  ...untouched,
  generation,
  state: 'connected',
  stateReason: null
})

/**
 * Loads and saves grants so that a store that fails for a while loses nothing: what could not be saved is served from
 * memory and saved again until it holds. A pair of tokens that HighLevel has just issued exists nowhere else.
 */
export function createPendingSaves(
  vault: Pick<GrantStore, 'loadGrant' | 'saveIssued' | 'installGrant'>,
  log: BaseLogger
) {
  const unsaved = new Map<Subject, Held>()
  /** Everything that is being written, from its first try to its last. */
  const writing = new Set<Promise<unknown>>()
  let installs = 0

  const track = <Value>(work: Promise<Value>): Promise<Value> => {
    const tracked = work.finally(() => writing.delete(tracked))
    writing.add(tracked)
    return tracked
  }

  const failed = (subject: Subject, err: unknown) =>
    log.error({ subject, err }, 'a grant could not be saved and is held in memory')

  const release = (subject: Subject, held: Held) => {
    if (unsaved.get(subject) === held) unsaved.delete(subject)
  }

  const retry = async (subject: Subject, held: Held): Promise<void> => {
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      await sleep(waitMs)
      // An install has taken its place.
      if (unsaved.get(subject) !== held) return
      try {
        const inForce = await held.write(true)
        const isOurs = inForce?.tokens?.accessToken === held.grant.tokens?.accessToken
        log.info({ subject }, isOurs ? 'a grant held in memory is saved' : 'a grant was replaced before it was saved')
        return release(subject, held)
      } catch (err) {
        failed(subject, err)
      }
    }
  }

  /** What was installed anew meanwhile has no use for tokens of before. */
  const givesWay = ({ install = 0 }: Held, waiting: Held | undefined): waiting is Held =>
    waiting?.install !== undefined && waiting.install > install

  /** What another process saved under a key that this one lacks is in force all the same. */
  const inForce = (subject: Subject): Promise<Grant | undefined> =>
    vault.loadGrant(subject).catch((error: unknown) => {
      if (error instanceof CipherError) return undefined
      throw error
    })

  const keep = async (held: Held): Promise<SaveResult> => {
    const { subject } = held.grant
    try {
      const grant = await held.write(false)
      const waiting = unsaved.get(subject)
      if (givesWay(held, waiting)) return { grant: waiting.grant, saved: Promise.resolve() }
      unsaved.delete(subject)
      return { grant, saved: Promise.resolve() }
    } catch (err) {
      failed(subject, err)
      const waiting = unsaved.get(subject)
      if (givesWay(held, waiting)) return { grant: waiting.grant, saved: Promise.resolve() }
      unsaved.set(subject, held)
      return { grant: held.grant, saved: track(retry(subject, held)) }
    }
  }

  return {
    /** The grant in force, from memory where the store does not have it yet. Rejects with a Problem. */
    async load(subject: Subject): Promise<Grant | undefined> {
      try {
        return unsaved.get(subject)?.grant ?? (await vault.loadGrant(subject))
      } catch (cause) {
        throw new Problem('vault-unavailable', 'The stored token cannot be read', { retryAfterSeconds: 5, cause })
      }
    },

    /** Saves what a renewal made of generation `after`. Never rejects. */
    save(fruit: IssuedGrant, after: number): Promise<SaveResult> {
      const grant = connected(fruit, after + 1)
      const write = async () => ((await vault.saveIssued(fruit, after)) ? grant : inForce(fruit.subject))
      return track(keep({ grant, install: undefined, write }))
    },

    /** Saves what an install brought; of generation `after`, where it keeps a part of that. Never rejects. */
    install(fruit: IssuedGrant, at: number, id: string = randomUUID(), after?: number): Promise<SaveResult> {
      const write = async (isRepeated: boolean) => {
        await vault.installGrant(fruit, { id, at, isRepeated, after })
        return inForce(fruit.subject)
      }
      installs += 1
      return track(keep({ grant: connected(fruit, 0), install: installs, write }))
    },

    /** Whose grants are in memory alone. */
    unsaved: (): readonly Subject[] => [...unsaved.keys()],

    /** Resolves when nothing is being saved any more. */
    async drain(): Promise<void> {
      while (writing.size > 0) await Promise.allSettled(writing)
    }
  }
}

export type PendingSaves = ReturnType<typeof createPendingSaves>
