import { randomUUID } from 'node:crypto'
import { text as readAll } from 'node:stream/consumers'
import { describeLocation, type LocationView } from '../grants/describe-location.ts'
import type { Subject } from '../grants/grant.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { type Command, nothing, oneId, table, UsageError } from './command.ts'

const PAGE = 1_000

const subjectOf = (id: string): Subject => `location:${id}`

async function allLocations(vault: Vault): Promise<LocationView[]> {
  const all: LocationView[] = []
  for (;;) {
    const page = await vault.listLocations({ after: all.at(-1)?.id, limit: PAGE })
    for (const grant of page) all.push(describeLocation(grant, Date.now()))
    if (page.length < PAGE) return all
  }
}

export const listLocations: Command = {
  usage: '',
  does: 'lists the locations and the state of their grants',
  read(args) {
    nothing(args)
    return async ({ vault }) => {
      const locations = await allLocations(vault)
      const rows = locations.map(({ id, kind, state, since, reason }) => [id, kind, state, since, reason ?? ''])
      return {
        document: { locations },
        text: table([['LOCATION', 'KIND', 'STATE', 'SINCE', 'WHY'], ...rows], 'There are no locations.')
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
      const grant = await vault.findGrant(subjectOf(id))
      if (grant === undefined) return { ok: false, document: { id, found: false }, text: `There is no location ${id}.` }
      const location = describeLocation(grant, Date.now())
      return {
        document: location,
        text: Object.entries(location)
          .map(([name, value]) => `${name}: ${value ?? ''}`)
          .join('\n')
      }
    }
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
      const issuedAt = Date.now()
      const fruit = { subject: subjectOf(id), kind: 'private', companyId: null, scopes: '', verified: true } as const
      const tokens = { accessToken: token, expiresAt: null, issuedAt }
      await vault.installGrant(
        { ...fruit, tokens, stateSince: issuedAt, dueAt: null },
        { id: randomUUID(), at: issuedAt, isRepeated: false }
      )
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
      const ok = await vault.markUninstalled(subjectOf(id), 'removed by an operator', Date.now())
      return {
        ok,
        document: { id, removed: ok },
        text: ok ? `Location ${id} is removed.` : `There is no connected location ${id}.`
      }
    }
  }
}
