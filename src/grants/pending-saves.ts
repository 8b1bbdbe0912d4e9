import { randomUUID } from 'node:crypto'
import type { BaseLogger } from 'pino'
import { vaultUnavailable } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import type { Grant, IssuedGrant, Subject } from './grant.ts'
import { CipherError } from './vault/cipher.ts'
import type { GrantStore } from './vault/vault.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

/** The current grant after a save. `saved` resolves once the vault has it: until then it is held in memory alone. */
export interface SaveResult {
  grant: Grant | undefined
  saved: Promise<void>
}

interface PendingSave {
  grant: Grant
  /** Numbers installs in the order in which they came. `undefined` for a renewal. */
  install: number | undefined
  /** Resolves with the grant that the vault has afterwards. Safe to repeat: a failed try may have been carried out. */
  write: (isRepeated: boolean) => Promise<Grant | undefined>
}

const freshState = {
  failures: 0,
  triedAt: null,
  intentAt: null,
  priorIntentAt: null,
  leaseOwner: null,
  leaseUntil: null,
  uninstallReportedAt: null
} as const

const toConnected = (issued: IssuedGrant, generation: number): Grant => ({
  ...issued,
  ...freshState,
  generation,
  state: 'connected',
  stateReason: null
})

/**
 * Loads and saves grants so that nothing is lost while the vault fails: a grant that cannot be saved is served from
 * memory, and saved again until the vault has it. Tokens that HighLevel has just issued exist nowhere else.
 */
export function createPendingSaves(
  vault: Pick<GrantStore, 'loadGrant' | 'saveIssued' | 'installGrant'>,
  log: BaseLogger,
  clock: Clock
) {
  const pending = new Map<Subject, PendingSave>()
  /** Every save in progress, from its first try to its last. */
  const writing = new Set<Promise<unknown>>()
  let installs = 0

  const track = <Value>(work: Promise<Value>): Promise<Value> => {
    const tracked = work.finally(() => writing.delete(tracked))
    writing.add(tracked)
    return tracked
  }

  const logFailure = (subject: Subject, err: unknown) =>
    log.error({ subject, err }, 'a grant could not be saved and is held in memory')

  const retry = async (subject: Subject, save: PendingSave): Promise<void> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      await clock.sleep(pauseMs)
      // An install has taken its place.
      if (pending.get(subject) !== save) return
      try {
        const current = await save.write(true)
        const isOurs = current?.tokens?.accessToken === save.grant.tokens?.accessToken
        log.info({ subject }, isOurs ? 'a grant held in memory is saved' : 'a grant was replaced before it was saved')
        if (pending.get(subject) === save) pending.delete(subject)
        return
      } catch (err) {
        logFailure(subject, err)
      }
    }
  }

  /** Whether `other` is a newer install. Tokens from before an install are of no use after it. */
  const givesWayTo = ({ install = 0 }: PendingSave, other: PendingSave | undefined): other is PendingSave =>
    other?.install !== undefined && other.install > install

  /** The stored grant. `undefined` if another process saved it, sealed with a key that this process lacks. */
  const loadCurrent = (subject: Subject): Promise<Grant | undefined> =>
    vault.loadGrant(subject).catch((error: unknown) => {
      if (error instanceof CipherError) return undefined
      throw error
    })

  const saveOrHold = async (save: PendingSave): Promise<SaveResult> => {
    const { subject } = save.grant
    try {
      const grant = await save.write(false)
      const other = pending.get(subject)
      if (givesWayTo(save, other)) return { grant: other.grant, saved: Promise.resolve() }
      pending.delete(subject)
      return { grant, saved: Promise.resolve() }
    } catch (err) {
      logFailure(subject, err)
      const other = pending.get(subject)
      if (givesWayTo(save, other)) return { grant: other.grant, saved: Promise.resolve() }
      pending.set(subject, save)
      return { grant: save.grant, saved: track(retry(subject, save)) }
    }
  }

  return {
    /** The current grant, from memory if the vault does not have it yet. Rejects with a Problem. */
    async load(subject: Subject): Promise<Grant | undefined> {
      try {
        return pending.get(subject)?.grant ?? (await vault.loadGrant(subject))
      } catch (cause) {
        throw vaultUnavailable('The stored token cannot be read', cause)
      }
    },

    /** Saves the result of a renewal that started from `generation`. Never rejects. */
    save(issued: IssuedGrant, generation: number): Promise<SaveResult> {
      const grant = toConnected(issued, generation + 1)
      const write = async () => ((await vault.saveIssued(issued, generation)) ? grant : loadCurrent(issued.subject))
      return track(saveOrHold({ grant, install: undefined, write }))
    },

    /**
     * Saves the result of an install. With `after`, only while the grant has that generation, because it keeps that
     * generation's refresh token. Never rejects.
     */
    install(issued: IssuedGrant, at: number, id: string = randomUUID(), after?: number): Promise<SaveResult> {
      const write = async (isRepeated: boolean) => {
        await vault.installGrant(issued, { id, at, isRepeated, after })
        return loadCurrent(issued.subject)
      }
      installs += 1
      return track(saveOrHold({ grant: toConnected(issued, 0), install: installs, write }))
    },

    /** The subjects whose grants are held in memory alone. */
    unsaved: (): readonly Subject[] => [...pending.keys()],

    /** Resolves when no save is in progress. */
    async drain(): Promise<void> {
      while (writing.size > 0) await Promise.allSettled(writing)
    }
  }
}

export type PendingSaves = ReturnType<typeof createPendingSaves>
