/** Who a token speaks for. */
export type Holder = LocationHolder | CompanyHolder

export interface LocationHolder {
  userType: 'Location'
  companyId: string
  locationId: string
  /** Made from an agency's token by /oauth/locationToken. */
  minted: boolean
}

export interface CompanyHolder {
  userType: 'Company'
  companyId: string
  approvedLocations: string[] | undefined
  bulk: boolean
}

/** Is this a holder of the location? Every holder is, where no location is named. */
export const belongsTo = (holder: Holder, locationId: string | undefined): boolean =>
  locationId === undefined || (holder.userType === 'Location' && holder.locationId === locationId)
