"""What a person does with a stack that runs: settle what was set aside, look whether the audit log is whole."""
