/* The documentation of the settings. */
#ifndef WE_CLI_CONFIG_H
#define WE_CLI_CONFIG_H

/* Standard output: docs/configuration.md. */
void we_config_docs(void);

#endif
