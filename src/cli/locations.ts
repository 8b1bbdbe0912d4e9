import { text as readAll } from 'node:stream/consumers'
import type { GrantSummary, Subject, Vault } from '../tokens/vault.ts'
import { type Command, date, nothing, oneId, table, UsageError } from './command.ts'

const subjectOf = (id: string): Subject => `location:${id}`

const shown = (grant: GrantSummary) => ({
  id: grant.subject.slice('location:'.length),
  kind: grant.kind,
  companyId: grant.companyId,
  state: grant.state,
  since: date(grant.stateSince),
  reason: grant.stateReason,
  expiresAt: grant.expiresAt === null ? null : date(grant.expiresAt),
  scopes: grant.scopes === '' ? [] : grant.scopes.split(' ')
})

export const listLocations: Command = {
  usage: '',
  does: 'lists the locations and the state of their grants',
  read(args) {
    nothing(args)
    return async ({ vault }) => {
      const locations = (await vault.listGrants('location:')).map(shown)
      const rows = locations.map(({ id, kind, state, since, expiresAt }) => [id, kind, state, since, expiresAt ?? ''])
      return {
        document: { locations },
        text: table([['LOCATION', 'KIND', 'STATE', 'SINCE', 'TOKEN EXPIRES'], ...rows], 'There are no locations.')
      }
    }
  }
}

export const showLocation: Command = {
  usage: 'ID',
  does: 'shows one location, without its tokens',
  read(args) {
    const id = oneId(args, 'location id')
    return async ({ vault }) => {
      const grant = await vault.loadGrant(subjectOf(id))
      if (grant === undefined) return { ok: false, document: { id, found: false }, text: `There is no location ${id}.` }
      const location = shown({ ...grant, expiresAt: grant.tokens?.expiresAt ?? null })
      return {
        document: location,
        text: Object.entries(location)
          .map(([name, value]) => `${name}: ${value ?? ''}`)
          .join('\n')
      }
    }
  }
}

/** Puts the token in place of whatever the location has. */
async function save(vault: Vault, subject: Subject, accessToken: string): Promise<void> {
  const issuedAt = Date.now()
  const tokens = { accessToken, expiresAt: null, issuedAt }
  const state = { state: 'connected', stateSince: issuedAt, stateReason: null } as const
  for (;;) {
    // Another process may be renewing the grant that this one replaces: the newest generation is what it follows.
    const after = (await vault.loadGrant(subject))?.generation ?? 0
    const grant = {
      subject,
      kind: 'private',
      companyId: null,
      scopes: '',
      tokens,
      ...state
    } as const
    if (await vault.saveGrant(grant, after)) return
  }
}

export const addToken: Command = {
  usage: 'ID',
  does: 'connects a location by a private integration token on standard input',
  read(args) {
    const id = oneId(args, 'location id')
    return async ({ vault, stdin }) => {
      // Pasted tokens come with line ends, and wrapped ones with blanks inside.
      const token = (await readAll(stdin)).replace(/\s+/g, '')
      if (!/^[\x21-\x7e]{8,4096}$/.test(token)) throw new UsageError('Give the token on standard input')
      await save(vault, subjectOf(id), token)
      return {
        document: { id, kind: 'private' },
        text: `Location ${id} is connected by its private integration token.`
      }
    }
  }
}

export const removeLocation: Command = {
  usage: 'ID',
  does: 'forgets the tokens of a location; gateways follow within 15 s',
  read(args) {
    const id = oneId(args, 'location id')
    return async ({ vault }) => {
      const ok = await vault.forgetGrant(subjectOf(id), 'removed by an operator')
      return {
        ok,
        document: { id, removed: ok },
        text: ok ? `Location ${id} is removed.` : `There is no connected location ${id}.`
      }
    }
  }
}
