#include "application.h"

#include "log.h"

#include <glib/gi18n.h>
#include <locale.h>

int main(int argc, char **argv)
{
    /* Numbers keep their point: what reads and writes JSON and settings relies on it. */
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    gtk_disable_setlocale();
    bindtextdomain(GETTEXT_PACKAGE, LOCALE_DIR);
    bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
    textdomain(GETTEXT_PACKAGE);
    g_log_set_writer_func(we_log_writer, NULL, NULL);
    g_autoptr(WeApplication) application = we_application_new();
    return g_application_run(G_APPLICATION(application), argc, argv);
}
