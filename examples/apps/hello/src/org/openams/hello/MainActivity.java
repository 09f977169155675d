package org.openams.hello;

import android.Manifest;
import android.app.Activity;
import android.content.pm.PackageManager;
import android.os.Bundle;
import android.util.Log;
import android.widget.TextView;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileReader;
import java.io.IOException;

/**
 * The one screen of the app. It shows, and logs under the tag "hello", what AMS
 * promised: the permission is granted and the extra data is in its place.
 */
public final class MainActivity extends Activity {
    private static final String TAG = "hello";

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);

        String text = "Hello from AMS\n"
                + "camera: " + (cameraGranted() ? "granted" : "denied") + "\n"
                + "extra data: " + extraData();
        Log.i(TAG, text);

        TextView view = new TextView(this);
        view.setTextSize(24);
        view.setText(text);
        setContentView(view);
    }

    private boolean cameraGranted() {
        return checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
    }

    /** The first line of greeting.txt in the OBB directory, or the reason why there is none. */
    private String extraData() {
        File file = new File(getObbDir(), "greeting.txt");
        try (BufferedReader in = new BufferedReader(new FileReader(file))) {
            return in.readLine();
        } catch (IOException e) {
            return e.getMessage();
        }
    }
}
