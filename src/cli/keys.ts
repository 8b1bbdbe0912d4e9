import { randomBytes } from 'node:crypto'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import { ID } from '../shared/ids.ts'
import { type Command, date, nothing, oneId, options, table, UsageError } from './command.ts'

/** 256 random bits behind a prefix by which secret scanners and people know it. */
const newKey = () => `rgk_${randomBytes(32).toString('base64url')}`

export const createKey: Command = {
  usage: "--name N --locations a,b (or '*')",
  does: 'makes an API key and prints it, once',
  read(args) {
    const { name, locations } = options(args, ['name', 'locations'])
    if (!/^[^\p{Cc}]{1,100}$/u.test(name)) throw new UsageError('--name takes 1 to 100 printable characters')
    const ids = [...new Set(locations.split(',').map((id) => id.trim()))]
    const wrong = ids.find((id) => id !== '*' && !ID.test(id))
    if (wrong !== undefined) throw new UsageError(`Not a location id: ${wrong}`)

    return async ({ vault }) => {
      const key = newKey()
      const id = `key_${randomBytes(6).toString('hex')}`
      await vault.addKey({ id, name, hash: credentialHash(key), locations: ids.includes('*') ? ['*'] : ids })
      return { document: { id, name, key }, text: `${key}\nKey ${id} (${name}). It is not shown again.` }
    }
  }
}

export const listKeys: Command = {
  usage: '',
  does: 'lists the API keys, never their secrets',
  read(args) {
    nothing(args)
    return async ({ vault }) => {
      const keys = (await vault.listKeys()).map(({ hash: _, ...key }) => key)
      const rows = keys.map((key) => [
        key.id,
        key.name,
        key.locations.join(','),
        date(key.createdAt),
        key.revokedAt === null ? '' : `revoked ${date(key.revokedAt)}`
      ])
      return {
        document: { keys },
        text: table([['ID', 'NAME', 'LOCATIONS', 'CREATED', ''], ...rows], 'There are no keys.')
      }
    }
  }
}

export const revokeKey: Command = {
  usage: 'ID',
  does: 'ends an API key; gateways refuse it within 15 s',
  read(args) {
    const id = oneId(args, 'key id')
    return async ({ vault }) => {
      const ok = await vault.revokeKey(id)
      return { ok, document: { id, revoked: ok }, text: ok ? `Key ${id} is revoked.` : `There is no key ${id}.` }
    }
  }
}
