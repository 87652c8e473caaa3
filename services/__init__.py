"""Everything that touches the world: storage, sites, the line, the fleet, the record, the sinks."""
