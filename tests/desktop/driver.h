/* Drives the real window from within its own main loop: finds widgets by the names that screen readers say, presses keys, and
 * waits for what should happen. Whatever GLib or GTK logs as a warning fails the test. */
#ifndef WE_TESTS_DESKTOP_DRIVER_H
#define WE_TESTS_DESKTOP_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "application.h"
#include "window.h"

/* The folder of the default model, as "…/models"; skips the test where the model is not there. */
const char *driver_models_dir(void);
/* A fresh home for the program: folders for its data and its settings, which driver_end removes. */
void driver_begin(void);
void driver_end(void);
/* Lines of the .env of that home. */
void driver_write_env(const char *text);

/* Runs the program from its start to its end, and `body` in between, once the window is open. */
typedef void driver_body(WeApplication *application, WeWindow *window);
void driver_run(driver_body *body);

/* Runs the main loop until it is so; fails the test after a time in which everything should have happened. */
typedef bool driver_condition(void *context);
void driver_wait(const char *what, driver_condition *condition, void *context);
/* Lets the main loop do what it has to do by now. */
void driver_settle(void);

/* The index-th widget of a type (a subtype counts) that is shown and bears the name (NULL: any), or NULL. */
GtkWidget *driver_find(GtkWidget *root, GType type, const char *name, int index);
int driver_count(GtkWidget *root, GType type, const char *name);
/* Clicks the button of that name, which has to be there, shown and sensitive. */
void driver_click(GtkWidget *root, const char *name, int index);
/* Whether a label that is shown holds the text. */
bool driver_shows(GtkWidget *root, const char *text);
/* The text of the composer. */
void driver_type(WeWindow *window, const char *text);

#endif
