"""Who signed what: the port CA, keys, the register of certificates, XML and CMS signatures."""
